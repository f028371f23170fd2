"""Everything about a study that is fixed before its first evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from greenshift.budget import Budget, parse_budget
from greenshift.config import StudyConfig, constraints, study_objectives
from greenshift.design import Design, Distillation, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.fidelities import hyperparameters_of, quantities_at, resolution_at, without_network
from greenshift.front import study_reference
from greenshift.objectives import HOST_LATENCY, Objective
from greenshift.optimize import Configuration, Fidelity, Optimizer, make_optimizer
from greenshift.records import DataChoice, Task, WeightFile
from greenshift.scoping import study_scope
from greenshift.sensitivity_table import SensitivityTable
from greenshift.space import Scope, SearchSpace
from greenshift.study.evaluator import Evaluator
from greenshift.study.mixtures import best_mixtures
from greenshift.study.resource import study_fidelity
from greenshift.study.warm import WarmStart, warm_start
from greenshift.study.weights import find_weights
from greenshift.targets import Cost, Target, cost, load_target


@dataclass(frozen=True)
class Plan:
    """A checked study: names are looked up, defaults filled in, relative constraints resolved.

    Attributes:
        config: What was asked for.
        evaluator: How networks are built and measured.
        data: The images.
        target: The device.
        space: The search space.
        scope: What a full space searches, None for another one.
        fidelity: The fidelity, or None.
        objectives: What is minimised.
        budget: Totals that may be used.
        pixels: Height and width of the data's images.
        recipe: What the space does not search, and the epochs of a full training.
        baselines: Designs by label, to be trained before the search; empty if they are not wanted.
        float32: Cost of the untouched float32 network, by objective.
        limits: Upper bound per constrained objective, in its unit.
        warm_start: What the search begins with.
        teacher: What trials that distil learn from, or None.
        init: What every training starts from, or None.
    """

    config: StudyConfig
    evaluator: Evaluator
    data: DataChoice
    target: Target
    space: SearchSpace
    scope: Scope | None
    fidelity: Fidelity | None
    objectives: tuple[Objective, ...]
    budget: Budget
    pixels: int
    recipe: Recipe
    baselines: Mapping[str, Design]
    float32: dict[str, float]
    limits: dict[str, float]
    warm_start: WarmStart
    teacher: WeightFile | None
    init: WeightFile | None

    def design(self, configuration: Mapping[str, Any], fidelity: float | None = None) -> Design:
        """Return the design of a configuration, at full fidelity if none is given."""
        resource = self.fidelity.maximum if fidelity is None and self.fidelity else fidelity
        design = self.space.to_design(
            configuration,
            backbone=self.config.model,
            quantities=self._quantities(resource),
            epochs=self.recipe.epochs if "epochs" in hyperparameters_of(self.config.fidelity) else None,
            base=self.recipe,
        )
        side = self._side(fidelity)
        return design if side is None else replace(design, resolution=min(side, design.resolution or side))

    def cost(self, design: Design) -> Cost:
        """Return what one inference of a design costs on the target."""
        return cost(self.evaluator.profile(design, self.data), self.target, self.limits.get("size_bytes"))

    def known(self, configuration: Mapping[str, Any]) -> dict[str, float]:
        """Return what is known of a configuration untrained, at full fidelity: objectives and what is limited."""
        names = [objective.name for objective in self.objectives if objective.known]
        return _by_objective(self.cost(self.design(configuration)), dict.fromkeys([*names, *self.limits]))

    def mixtures(self, table: SensitivityTable) -> tuple[Configuration, ...]:
        """Return what a sensitivity table promises most of, at different values of the first objective that is known.

        Raises:
            InputError: If the space has no schemes by layer group, or the table none of them.
        """
        known = [objective.name for objective in self.objectives if objective.known]
        if self.scope is None or not known:
            raise InputError(
                "a sensitivity table needs space full and an objective that is known without training, "
                "such as energy_j; set them or leave the table out"
            )
        return best_mixtures(table, self.scope, self.space, lambda chosen: self.known(chosen)[known[0]])

    def optimizer(self, planned_trials: int | None) -> Optimizer:
        """Return a fresh optimizer.

        Args:
            planned_trials: The trial budget the study was begun with. A budget that grows later must not
                change what has been proposed already.
        """
        corner = study_reference((), self.objectives, self.float32)
        references = {
            o.name: value if o.reference is not None or o.name in self.float32 else None
            for o, value in zip(self.objectives, corner, strict=True)
        }
        begin = [*self.warm_start.configurations, *map(self.space.complete, self.space.starts)]
        return make_optimizer(
            self.config.optimizer,
            space=self.space.configspace,
            objectives=tuple(replace(o, reference=references[o.name]) for o in self.objectives),
            # A front shows full fidelity only, so that is all that counts for the optimizer.
            fidelity=None if self.fidelity is None else replace(self.fidelity, partial=False),
            known=self.known,
            seed=self.config.seed,
            max_trials=planned_trials,
            warm_start=[known for place, known in enumerate(begin) if known not in begin[:place]],
            prior=self.config.prior,
            limits=self.limits,
        )

    def check(self) -> None:
        """See that there is an optimizer and that the smallest images can be taken, before anything is written.

        Raises:
            InputError: If not.
        """
        self.optimizer(self.budget.trials)
        side = None if self.fidelity is None else self._side(self.fidelity.minimum)
        try:
            self.evaluator.profile(Design(self.config.model, resolution=side), self.data)
        except InputError as error:
            raise InputError(f"fidelity_min: {error}") from error

    def trial_task(self, trial: int, configuration: dict[str, Any], fidelity: float | None) -> Task:
        """Return the task of a trial; its checkpoint is for the caller to add."""
        return self._task(trial, None, configuration, self.design(configuration, fidelity), self._quantities(fidelity))

    def baseline_tasks(self) -> list[Task]:
        """Return the tasks of the baselines, with the trial numbers -1, -2 and so on."""
        # Baselines are not shifted as deep as the trials that are compared, or in their bits.
        full = {} if self.fidelity is None else without_network(self._quantities(self.fidelity.maximum))
        return [
            self._task(-number, label, {}, design, full)
            for number, (label, design) in enumerate(self.baselines.items(), start=1)
        ]

    def _side(self, resource: float | None) -> int | None:
        """Height and width of the images at a resource, None for the data's own."""
        return resolution_at(self._quantities(resource), self.pixels)

    def _quantities(self, resource: float | None) -> dict[str, float]:
        if self.fidelity is None or self.config.fidelity is None or resource is None:
            return {}
        return quantities_at(self.config.fidelity, resource, self.fidelity.maximum, self.space.depth)

    def _task(
        self,
        trial: int,
        label: str | None,
        configuration: dict[str, Any],
        design: Design,
        fidelity: dict[str, float],
    ) -> Task:
        return Task(
            trial=trial,
            label=label,
            configuration=configuration,
            design=design,
            epochs=round(fidelity.get("epochs", design.recipe.epochs)),
            fidelity=fidelity,
            data=replace(self.data, train_fraction=fidelity.get("data_fraction", 1.0)),
            objectives=tuple(objective.name for objective in self.objectives),
            target=self.config.target,
            seed=self.config.seed,
            threads=self.config.threads,
            carbon_intensity_g_per_kwh=self.config.carbon_intensity_g_per_kwh,
            max_size_bytes=self.limits.get("size_bytes"),
            teacher=self.teacher,
            init=self.init,
        )


def make_plan(config: StudyConfig, evaluator: Evaluator, facts: Mapping[str, Any]) -> Plan:
    """Look up everything a study names and work out what it leaves open.

    Args:
        config: What was asked for.
        evaluator: How networks are built and measured.
        facts: What an earlier run of the study wrote down (`Store.facts`), empty before the first one.

    Raises:
        InputError: If a dataset, model, target, space, optimizer, earlier study or range does not exist or fit.
    """
    target = load_target(config.target)
    _check_host(config)
    data = DataChoice(config.data, config.data_dir, config.validation_share, config.train_limit, config.seed)
    depth = evaluator.weighted_layers(config.model, data)
    plain = evaluator.profile(Design(config.model), data)
    fidelity = study_fidelity(config, evaluator.epochs_range(data), depth, plain.input_shape[-1])
    epochs = config.epochs or evaluator.epochs_range(data)[1]
    if fidelity is not None and "epochs" in hyperparameters_of(config.fidelity):
        epochs = round(fidelity.maximum)
    baselines = evaluator.baselines(config.model, data, epochs, depth)
    float32 = _by_objective(cost(plain, target), ("energy_j", "latency_s", "size_bytes", "peak_memory_bytes"))
    recipe = _recipe(config, epochs)
    teacher, init = _trained_weights(config, evaluator, recipe, data, facts)
    scope = study_scope(config, lambda design: evaluator.profile(design, data), target)
    space = evaluator.space(config.space, depth=depth, fidelity=config.fidelity, seed=config.seed, scope=scope)
    plan = Plan(
        config=config,
        evaluator=evaluator,
        data=data,
        target=target,
        space=space,
        scope=scope,
        fidelity=fidelity,
        objectives=study_objectives(config),
        budget=parse_budget(config.budget),
        pixels=plain.input_shape[-1],
        recipe=recipe,
        baselines=_wanted(baselines, init) if config.baselines else {},
        float32=float32,
        limits={bound.objective: bound.limit(float32) for bound in constraints(config)},
        warm_start=WarmStart(),
        teacher=teacher,
        init=init,
    )
    plan = replace(plan, warm_start=warm_start(config, space, facts, plan.mixtures))
    plan.check()
    return plan


def _wanted(baselines: Mapping[str, Design], init: WeightFile | None) -> Mapping[str, Design]:
    """Return the baselines to train: a narrow network cannot start from the weights of a wide one."""
    return {label: design for label, design in baselines.items() if init is None or design.width == 1}


def _recipe(config: StudyConfig, epochs: int) -> Recipe:
    """Return what the space does not search, the distillation from a teacher included."""
    distillation = None if config.teacher is None else Distillation()
    optimization = Optimization(schedule=config.schedule)
    return Recipe(epochs=epochs, augment=config.augment, optimization=optimization, distillation=distillation)


def _trained_weights(
    config: StudyConfig, evaluator: Evaluator, recipe: Recipe, data: DataChoice, facts: Mapping[str, Any]
) -> tuple[WeightFile | None, WeightFile | None]:
    """Return the teacher and what trainings start from, both loaded once to see that they fit."""
    teacher, init = find_weights(config, "teacher", facts), find_weights(config, "init", facts)
    if teacher is not None:
        evaluator.teacher(recipe, teacher, data)
    if init is not None:
        evaluator.init(init, data)
    return teacher, init


def _check_host(config: StudyConfig) -> None:
    """Refuse to time networks on this machine if its runtime is not there: NumPy's times say nothing about it."""
    if HOST_LATENCY not in config.objectives:
        return
    from greenshift.deploy.native import load_library

    library = load_library()
    if isinstance(library, str):
        raise InputError(f"objectives: {HOST_LATENCY} needs the compiled runtime, and {library}")


def _by_objective(spent: Cost, names: Any) -> dict[str, float]:
    return {name: float(getattr(spent, name)) for name in names}
