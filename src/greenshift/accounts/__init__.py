"""Accounts: what a study cost in energy and carbon, what it saves, and whether it pays back."""

from greenshift.accounts.auto import AutoBudget, resolve_budget
from greenshift.accounts.break_even import BreakEven, Reference, break_even, break_evens, references
from greenshift.accounts.card import Card, make_card
from greenshift.accounts.grid import Country, Grid, find_grid, given_grid, read_hourly
from greenshift.accounts.recost import on_grid, on_target, point_carbon, table_agreement
from greenshift.accounts.scenario import scenario_grid
from greenshift.accounts.stages import Account, Declared, Embodied, Stage, make_account
from greenshift.accounts.training import Training
from greenshift.accounts.worth import Worth, worth_of

__all__ = [
    "Account",
    "AutoBudget",
    "BreakEven",
    "Card",
    "Country",
    "Declared",
    "Embodied",
    "Grid",
    "Reference",
    "Stage",
    "Training",
    "Worth",
    "break_even",
    "break_evens",
    "find_grid",
    "given_grid",
    "make_account",
    "make_card",
    "on_grid",
    "on_target",
    "point_carbon",
    "read_hourly",
    "references",
    "resolve_budget",
    "scenario_grid",
    "table_agreement",
    "worth_of",
]
