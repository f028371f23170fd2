"""The house's limits: small files, short functions, flat classes, no pickles, no printing from the library."""

import ast

from source_tree import ROOT, all_imports, files, module_name, tree

MAX_FILE_LINES = 299
MAX_FUNCTION_LINES = 49
MAX_CONSTRUCTOR_ARGUMENTS = 7
MAY_UNPICKLE = {"greenshift.data.cifar"}  # by a reader that admits arrays only
CODE_LOADERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def nodes(*kinds):
    """All nodes of some kinds, with where they are."""
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, kinds):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_the_package_is_there():
    assert len(files()) > 50


def test_files_are_small():
    long = {str(f.relative_to(ROOT)): n for f in files() if (n := len(f.read_text().splitlines())) > MAX_FILE_LINES}
    assert long == {}


def test_functions_are_short():
    functions = nodes(ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {f"{where} {node.name}": node.end_lineno - node.lineno + 1 for where, node in functions}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_no_module_is_a_drawer():
    drawers = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [module_name(f) for f in files() if drawers & set(module_name(f).split("."))] == []


def test_inheritance_inside_the_package_is_at_most_one_deep():
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)} for _, node in nodes(ast.ClassDef)
    }
    heirs = {name for name, above in bases.items() if above & bases.keys()}
    assert {name: above & heirs for name, above in bases.items() if above & heirs} == {}


def test_constructors_take_few_arguments():
    counts = {}
    for where, node in nodes(ast.ClassDef):
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                arguments = method.args
                counts[f"{where} {node.name}"] = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - 1
    assert counts
    # A layer is built like its torch namesake, which has more arguments than the house allows.
    namesakes = {name for name in counts if name.endswith("ShiftConv2d")}
    many = {name: count for name, count in counts.items() if count > MAX_CONSTRUCTOR_ARGUMENTS}
    assert many.keys() <= namesakes


def test_frozen_dataclasses_but_for_state():
    """A record that changes is a decision: name it here."""
    changing = {"Flight"}
    thawed = set()
    for where, node in nodes(ast.ClassDef):
        for decorator in node.decorator_list:
            text = ast.unparse(decorator)
            if text.startswith("dataclass") and "frozen=True" not in text and node.name not in changing:
                thawed.add(f"{where} {node.name}")
    assert thawed == set()


def test_nothing_is_unpickled():
    found = {i.module for i in all_imports() if i.name.split(".")[0] in CODE_LOADERS}
    assert found <= MAY_UNPICKLE
    for where, node in nodes(ast.Call):
        if ast.unparse(node.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(node), where
        assert not ast.unparse(node.func).startswith(("torch.save", "pickle.load", "pickle.dump")), where


def test_only_the_command_line_prints_and_nobody_asks():
    calls = {where: node.func.id for where, node in nodes(ast.Call) if isinstance(node.func, ast.Name)}
    assert [where for where, name in calls.items() if name == "print" and not where.startswith("cli/")] == []
    assert [where for where, name in calls.items() if name in ("input", "breakpoint", "eval", "exec")] == []


def test_only_the_command_line_ends_the_process():
    calls = {where for where, node in nodes(ast.Call) if ast.unparse(node.func) in ("sys.exit", "exit", "quit")}
    assert {where.split(":")[0] for where in calls} <= {"cli/main.py"}


def test_nothing_swallows_every_error_silently():
    """A bare `except`, or one that does nothing with everything, is how a fallback stays unseen."""
    for where, node in nodes(ast.ExceptHandler):
        assert node.type is not None, f"{where}: bare except"
        everything = ast.unparse(node.type) in ("Exception", "BaseException")
        assert not (everything and all(isinstance(s, ast.Pass) for s in node.body)), where


def test_every_public_name_says_what_it_is():
    silent = [
        f"{where} {node.name}"
        for where, node in nodes(ast.FunctionDef, ast.ClassDef)
        if not node.name.startswith("_") and node in top_level and ast.get_docstring(node) is None
    ]
    assert silent == []


top_level = {node for path in files() for node in tree(path).body}
