"""Mutation check: changes one thing at a time in a module of netspec, and tells which changes no test notices.

    python -m tests.mutation.mutants netspec/ops/pooling.py [MORE.py ...] [--limit N] [--budget SECONDS]
        [--functions | --classes] [--only TEXT] [--again REPORT] [--tests PATH ...]

It works on the tree it stands in, and writes nothing there. Every mutant runs in a forked process in which torch and
the tests are loaded already: a change inside a function is put in place of that function's code, any other goes
through a fresh import. Only tests that ran the changed line are tried, those that killed the mutant before first, then
the quick ones, until one fails or their time is over the budget. The tests are those of `tests_for`: `TESTS`, and the
folders that mirror the files, so tests/backends/pytorch for netspec/backends/pytorch/sums.py.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import os
import pickle
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
import torch

from tests.support.paths import REPOSITORY as ROOT

TESTS = ["tests/ops", "tests/analysis", "tests/specs", "tests/golden", "tests/passes", "tests/cli/test_reports.py"]
TESTS += ["tests/cli/test_summary.py", "tests/spec/elaborate", "tests/errors/test_goldens.py"]


def tests_for(files: list[str]) -> list[str]:
    """Where a change of these files may be noticed: `TESTS`, and the tests of the packages that they are in.

    >>> tests_for(["netspec/backends/yaml/layout.py"])[-1]
    'tests/backends/yaml'
    """
    folders = [Path("tests", *Path(file).parts[1:-1]).as_posix() for file in files]
    every = [*TESTS, *(folder for folder in folders if folder != "tests")]
    return [path for path in dict.fromkeys(every) if not any(path.startswith(f"{other}/") for other in every)]


WORDS = (
    "RuleError",
    "UnequalShapes",
    "AttributeProblem",
    "TypeError",
    "ValueError",
    "known_int",
    "need_rank",
    "fail",
    "cast",
)
"""What is called with messages: their texts are left alone."""
SWAPS: dict[type[Any], tuple[type[Any], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Mult,),
    ast.Div: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    **{a: (b,) for pair in ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq)) for a, b in (pair, pair[::-1])},
    **{
        a: (b,) for pair in ((ast.In, ast.NotIn), (ast.Is, ast.IsNot), (ast.And, ast.Or)) for a, b in (pair, pair[::-1])
    },
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "POINT": "ALL", "ALL": "POINT", "UNPLACED": "POINT"}
NAMES |= {"VARIES": "ALL", "DATA": "VARIES", "height": "width", "width": "height", "before": "after", "after": "before"}


def variants(node: ast.AST, parent: ast.AST, label: bool) -> Iterator[ast.AST]:
    """What could stand in a node's place."""

    def changed(**fields: Any) -> ast.AST:
        new = copy.copy(node)
        vars(new).update(fields)
        return new

    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            yield from (changed(op=other()) for other in SWAPS.get(type(op), ()))
        case ast.Compare(ops=[op]):
            yield changed(ops=[SWAPS[type(op)][0]()])
        case ast.BoolOp(op=op, values=values):
            yield changed(op=SWAPS[type(op)][0]())
            rest = (values[:n] + values[n + 1 :] for n in range(len(values)))
            yield from (changed(values=few) if len(few) > 1 else few[0] for few in rest)
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.If(test=test):
            yield from (changed(test=ast.copy_location(ast.Constant(value), test)) for value in (True, False))
        case ast.comprehension(ifs=[_, *_]):
            yield changed(ifs=[])
        case ast.Raise() | ast.Continue() | ast.Expr(value=ast.Call()):
            yield ast.copy_location(ast.Pass(), node)
        case ast.Call(func=func, args=args, keywords=keywords):
            words = getattr(func, "id", "") in (*WORDS, "min", "max")
            for n in range(len(args) if words else max(0, len(args) - 1), len(args)):
                yield changed(args=args[:n] + args[n + 1 :])
            for n in range(0 if words else 1, 0 if words else len(args)):
                yield changed(args=[*args[: n - 1], args[n], args[n - 1], *args[n + 1 :]])
            for n, keyword in enumerate(keywords):
                if keyword.arg not in ("help", "strict"):
                    yield changed(keywords=keywords[:n] + keywords[n + 1 :])
        case ast.Tuple(elts=elts, ctx=ast.Load()) if not isinstance(parent, ast.Compare):
            for n in range(1, len(elts)):
                if ast.dump(elts[n]) != ast.dump(elts[n - 1]):
                    yield changed(elts=[*elts[: n - 1], elts[n], elts[n - 1], *elts[n + 1 :]])
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in NAMES and isinstance(node.ctx, ast.Load):
            yield changed(**{"id" if isinstance(node, ast.Name) else "attr": NAMES[name]})
        case ast.Constant(value=bool(value)):
            yield changed(value=not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (changed(value=value + 1), changed(value=value - 1))
        case ast.Constant(value=str(value)) if not isinstance(parent, ast.JoinedStr) or label:
            yield changed(value=value + "X" if value else "X")
        case _:
            return


Site = tuple[int, range, str, Callable[[], None]]


def sites(tree: ast.AST) -> Iterator[Site]:
    """Each mutation: its line, the lines of the function around it, what it changes, and how to make it (once)."""

    def walk(node: ast.AST, inside: str, lines: range) -> Iterator[Site]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
                continue
            words = isinstance(node, ast.Call) and getattr(node.func, "id", "") in WORDS
            for place, child in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(child, ast.AST) or isinstance(child, ast.Assert | ast.ImportFrom | ast.Import):
                    continue
                if words and isinstance(getattr(child, "value", None), str):
                    continue
                if isinstance(child, ast.Subscript) and ast.unparse(child.value).startswith(("Literal", "dict", "set")):
                    continue
                if isinstance(child, ast.keyword) and child.arg in ("help", "strict"):
                    continue
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                    continue
                if isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) in ("examples", "__all__"):
                    continue
                for new in variants(child, node, inside == "label"):

                    def put(name: str = name, place: int = place, new: ast.AST = new) -> None:
                        ast.fix_missing_locations(new)
                        if isinstance(value := getattr(node, name), list):
                            value[place] = new
                        else:
                            setattr(node, name, new)

                    line = getattr(child, "lineno", getattr(node, "lineno", 0))
                    yield line, lines, difference(child, new), put
                if isinstance(child, ast.FunctionDef):
                    yield from walk(child.args, inside, lines)
                    outer = lines or range(child.lineno, (child.end_lineno or 0) + 1)
                    yield from walk(ast.Module(child.body, []), child.name, outer)
                elif not isinstance(child, ast.arguments):
                    yield from walk(child, inside, lines)

    yield from walk(tree, "", range(0))


def difference(old: ast.AST, new: ast.AST) -> str:
    a, b = (ast.unparse(node).split("\n")[0] for node in (old, new))
    return f"{a}  ->  {b}"


def forked(work: Callable[[], Any], limit: float = 0) -> Any:
    """What a function returns in a process of its own; "timeout" or "crash" where it does not."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        try:
            signal.alarm(int(limit))
            with open(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        found = pipe.read()
    status = os.waitpid(child, 0)[1]
    return pickle.loads(found) if found else "timeout" if os.WTERMSIG(status) == signal.SIGALRM else "crash"


class Session:
    """A run of pytest that hands the tests it found to `work`, in place of running them."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work, self.found = work, None

    def pytest_runtestloop(self, session: Any) -> bool:
        self.found = self.work(session)
        return True


def collected(tests: list[str], work: Callable[[Any], Any]) -> Any:
    """What `work` makes of the tests; `crash` where they can't be collected."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(2 if os.environ.get("LOUD") else quiet, 1)
    plugin = Session(work)
    code = pytest.main(
        [
            *tests,
            "-qs",
            "--tb=native",
            "--assert=plain",
            "-p",
            "no:cacheprovider",
            f"--basetemp=/tmp/mutants-{os.getpid()}",
        ],
        [plugin],
    )
    return plugin.found if code in (0, 1, 5) else "crash"


def first_failure(session: Any, names: list[str]) -> str | None:
    """The first of these tests that fails."""
    items = {item.nodeid: item for item in session.items}
    for name, after in itertools.zip_longest(names, names[1:]):
        item, following = items[name], items.get(after)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return name
    return None


class Trace:
    """Which lines of some files run."""

    def __init__(self, files: list[str]) -> None:
        self.files, self.lines = {str(ROOT / file): file for file in files}, set[tuple[str, int]]()

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        if (file := self.files.get(frame.f_code.co_filename)) is None:
            return None
        self.lines.add((file, frame.f_lineno))
        return self

    def tests(self, session: Any) -> tuple[dict[str, tuple[float, set[tuple[str, int]]]], list[str]]:
        """By test, its seconds and the lines it ran; and what fails by itself."""
        found: dict[str, tuple[float, set[tuple[str, int]]]] = {}
        failing: list[str] = []
        for item, following in itertools.zip_longest(session.items, session.items[1:]):
            self.lines.clear()
            begin, before = time.process_time(), session.testsfailed
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            found[item.nodeid] = (time.process_time() - begin, set(self.lines))
            failing += [item.nodeid] if session.testsfailed > before else []
        return found, failing


def trace(files: list[str], tests: list[str]) -> Any:
    sys.settrace(tracer := Trace(files))
    return collected(tests, tracer.tests)


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def mutant(file: str, number: int) -> CodeType:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    next(itertools.islice(sites(tree), number, None))[3]()
    return compile(tree, str(ROOT / file), "exec")


class Swap:
    """The tests, with the functions of a mutant put in place of those that were loaded."""

    def __init__(self, session: Any, files: list[str]) -> None:
        self.session, self.caches = session, list[Any]()
        for file in files:
            importlib.import_module(file.removesuffix(".py").replace("/", "."))
        self.functions: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
        for thing in gc.get_objects():
            if type(thing) is FunctionType:
                self.functions[place(thing.__code__)].append(thing)
            elif type(thing).__name__ == "_lru_cache_wrapper" and str(thing.__module__).startswith("netspec"):
                self.caches.append(thing)
        gc.freeze()

    def __call__(self, file: str, number: int, names: list[str]) -> str | None:
        """The first failure; "anew" where the mutant has to be imported, "same" if nothing differs."""
        done = False
        for cache in self.caches:
            cache.cache_clear()
        for code in codes(mutant(file, number)):
            for function in self.functions[place(code)]:
                if function.__code__ != code:
                    if function.__code__.co_freevars != code.co_freevars:
                        return "anew"
                    function.__code__, done = code, True
        return first_failure(self.session, names) if done else "same"


def place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


class Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, file: str, number: int) -> None:
        super().__init__(name, str(ROOT / file))
        self.mutant = lambda: mutant(file, number)

    def get_code(self, fullname: str) -> CodeType:
        return self.mutant()


class Finder(importlib.abc.MetaPathFinder):
    def __init__(self, file: str, number: int) -> None:
        self.file, self.number = file, number

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."):
            return None
        loader = Loader(fullname, self.file, self.number)
        return importlib.util.spec_from_file_location(fullname, ROOT / self.file, loader=loader)


def imported(file: str, number: int, names: list[str]) -> str | None:
    """The first failure where the mutant is what is imported."""
    sys.meta_path.insert(0, Finder(file, number))
    files = sorted({name.partition("::")[0] for name in names})
    return collected(files, lambda session: first_failure(session, names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--limit", type=int, help="so many mutants of each file, evenly spread")
    parser.add_argument("--budget", type=float, default=4, help="seconds of tests for one mutant")
    parser.add_argument("--only", default="", help="mutants with this text in their line of the report")
    parser.add_argument("--functions", action="store_true", help="none that need a fresh import")
    parser.add_argument("--classes", action="store_true", help="only those that need a fresh import")
    parser.add_argument("--again", type=Path, help="a report: only what survived in it")
    parser.add_argument("--tests", nargs="+", help="in place of those that are chosen by the files")
    given = parser.parse_args()
    tests = given.tests or tests_for(given.files)
    os.chdir(ROOT)
    begin = time.monotonic()
    sys.path[0] = str(ROOT)
    torch.set_num_threads(1)
    ran, failing = forked(lambda: trace(given.files, tests))
    gc.freeze()
    seconds = sum(spent for spent, _ in ran.values())
    print(f"{len(ran)} tests of {seconds:.0f} s; failing as things stand: {failing}", flush=True)
    before = given.again.read_text(encoding="utf-8") if given.again else ""
    todo: list[tuple[str, int, str, list[str], range]] = []
    for file in given.files:
        every = list(enumerate(sites(ast.parse((ROOT / file).read_text(encoding="utf-8")))))
        every = every[:: max(1, len(every) // given.limit)] if given.limit else every
        for number, (line, lines, text, _) in every:
            around = {(file, n) for n in lines} | {(file, line)}
            hits = {n: (file, line) not in seen for n, (_, seen) in ran.items() if n not in failing and seen & around}
            if not lines:
                hits = {n: not any(at == file for at, _ in seen) for n, (_, seen) in ran.items() if n not in failing}
            nth: Counter[str] = Counter()  # the quickest of every test's cases first, then the next of each
            order: dict[str, tuple[bool, bool, int, float]] = {}
            for name in sorted(hits, key=lambda name: ran[name][0]):
                nth[name.partition("[")[0]] += 1
                order[name] = hits[name], ran[name][0] > 0.2, nth[name.partition("[")[0]], ran[name][0]
            names = sorted(order, key=lambda name: order[name])
            what = f"{file}:{line}: {text}"
            if given.only in what and (not before or f"  {line}: {text}\n" in before):
                todo.append((file, number, what, names, lines))
    kills: Counter[tuple[Any, ...]] = Counter()

    def chosen(file: str, place: int, names: list[str]) -> list[str]:
        first = sorted(names, key=lambda name: (-kills[file, place, name], -kills[file, name]))
        total = itertools.accumulate(ran[name][0] + 0.01 for name in first)
        return [name for name, spent in zip(first, total, strict=True) if spent <= given.budget]

    def attempts(work: Callable[..., str | None], of: list[Any]) -> list[str | None]:
        found: list[str | None] = []
        for n, (file, number, what, names, lines) in enumerate(of, start=1):
            some = chosen(file, lines.start, names)
            limit = 15 + 3 * sum(ran[name][0] for name in some)
            result = forked(lambda f=file, n=number, s=some: work(f, n, s), limit) if some else None
            kills[file, lines.start, result] += 1
            kills[file, result] += 1
            found.append(result)
            if result in (None, "crash") or n % 20 == 0:
                said = f"{result or 'survives'} ({len(some)} tests)"
                print(f"{time.monotonic() - begin:.0f} s [{n}/{len(of)}] {what}: {said}", file=sys.stderr, flush=True)
        return found

    todo = [entry for entry in todo if not (entry[4] and given.classes)]
    fast = [entry for entry in todo if entry[4]]  # inside a function
    results = forked(lambda: collected(tests, lambda session: attempts(Swap(session, given.files), fast)))
    by_mutant = {entry[:2]: result for entry, result in zip(fast, results, strict=True)}
    slow = [entry for entry in todo if by_mutant.get(entry[:2], "anew") == "anew" and not given.functions]
    by_mutant |= {entry[:2]: result for entry, result in zip(slow, attempts(imported, slow), strict=True)}
    for file in given.files:
        own = [(what, by_mutant.get((at, n), "left out")) for at, n, what, *_ in todo if at == file]
        other = ("timeout", "same", "crash", "left out")
        table = Counter(r if r in other else "killed" if r else "survived" for _, r in own)
        print(f"\n{file}: {len(own)} mutants, {dict(table)}")
        print(*(f"  {what.partition(':')[2]}" for what, result in own if result is None), sep="\n")


if __name__ == "__main__":
    main()
