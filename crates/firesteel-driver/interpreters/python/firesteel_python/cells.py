"""From source text to code objects: IPython's syntax, Python's line numbers, and a trailing expression to echo."""

import __future__
import ast
import linecache
import tokenize
from collections import deque
from io import StringIO

SOURCE_CHARS_MAX = 32 << 20

_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag


class Cell:
    """One command, compiled: statements to execute, then perhaps an expression to evaluate."""

    __slots__ = ("statements", "expression", "quiet")

    def __init__(self, statements, expression, quiet):
        self.statements = statements
        self.expression = expression
        self.quiet = quiet


class Compiler:
    """Compiles the commands of one interpreter; remembers `from __future__` imports and recent sources."""

    def __init__(self, shell):
        self._shell = shell
        self._flags = 0
        self._sources = deque()
        self._source_chars = 0
        self._plain_transformers = _transformers(shell)

    def compile(self, source, name):
        """Raises what the compiler raises: mostly `SyntaxError`."""
        try:
            text, tree = self._parse(source, name)
        except SyntaxError as error:
            # IPython's own look at the text may fail first; whose text it was is known here alone.
            error.filename = name
            raise error.with_traceback(None) from None
        if self._shell.ast_transformers:
            tree = self._shell.transform_ast(tree)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        statements = self._code(tree, name, "exec") if tree.body else None
        if last is None:
            return Cell(statements, None, False)
        expression = self._code(ast.Expression(last.value), name, "eval")
        return Cell(statements, expression, _ends_in_semicolon(text))

    def _parse(self, source, name):
        # Most commands are plain Python, and plain Python is nothing to IPython's transformers. Trying that first is
        # several times faster than asking them.
        if _transformers(self._shell) == self._plain_transformers:
            try:
                tree = self._tree(source, name)
                self._remember(source, name)
                return source, tree
            except (SyntaxError, ValueError):
                pass
        text = _keep_leading_lines(source, self._shell.transform_cell(_shell_cell(source)))
        # The user's own lines, where they are the lines that run: a line magic stays in its place, and a cell magic is one call
        # in the first.
        is_cell = source.lstrip().startswith("%%") or _shell_cell(source) is not source
        self._remember(source if is_cell or _same_lines(source, text) else text, name)
        if is_cell:
            _remember_body(source)
        return text, self._tree(text, name)

    def _tree(self, source, name):
        return compile(source, name, "exec", ast.PyCF_ONLY_AST | self._flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)

    def _code(self, tree, name, mode):
        code = compile(tree, name, mode, self._flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
        self._flags |= code.co_flags & _FUTURE
        return code

    def _remember(self, source, name):
        # For tracebacks and `inspect.getsource`. The oldest are forgotten when they are too much together.
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        self._sources.append((name, len(source)))
        self._source_chars += len(source)
        while self._source_chars > SOURCE_CHARS_MAX and len(self._sources) > 1:
            oldest, length = self._sources.popleft()
            self._source_chars -= length
            linecache.cache.pop(oldest, None)


def _transformers(shell):
    manager = shell.input_transformer_manager
    return (
        tuple(map(id, manager.cleanup_transforms)),
        tuple(map(id, manager.line_transforms)),
        tuple(map(id, manager.token_transformers)),
        tuple(map(id, shell.input_transformers_post)),
    )


def _shell_cell(source):
    """`%sh` on the first line makes the whole command a shell script, as in notebooks."""
    stripped = source.lstrip()
    if stripped.startswith("%sh") and stripped[3:4] in ("", " ", "\t", "\n", "\r"):
        return "%%sh\n" + stripped[3:].lstrip(" \t\r").removeprefix("\n")
    return source


def _keep_leading_lines(source, transformed):
    """IPython drops blank lines at the top; put back, they keep line numbers those of the text that was sent."""
    dropped = 0
    for line in source.splitlines():
        if line.strip():
            break
        dropped += 1
    return "\n" * dropped + transformed


def _remember_body(source):
    # Under the names by which `%%time` runs it.
    lines = source.lstrip().splitlines(True)[1:]
    for name in ("<timed exec>", "<timed eval>"):
        linecache.cache[name] = (0, None, lines, name)


def _same_lines(source, text):
    return len(source.rstrip().splitlines()) == len(text.rstrip().splitlines())


def _ends_in_semicolon(source):
    if ";" not in source[source.rstrip().rfind("\n") + 1 :]:
        return False
    try:
        tokens = list(tokenize.generate_tokens(StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return False
    ignored = (tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT)
    last = next((token for token in reversed(tokens) if token.type not in ignored), None)
    return last is not None and last.string == ";"
