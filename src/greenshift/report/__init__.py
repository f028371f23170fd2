"""The report: one HTML file that answers the question of a study and works without a network."""

from greenshift.report.data import ReportData, report_data
from greenshift.report.render import render, write_report

__all__ = ["ReportData", "render", "report_data", "write_report"]
