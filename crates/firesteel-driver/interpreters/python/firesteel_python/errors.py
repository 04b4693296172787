"""What user code raised, as clients expect to read it: a one-line summary with a span, and an IPython-style traceback.

Colours are ANSI; the last line is plain. Frames of the user's code name `<command-N>`, frames of other files their absolute
path, because editors look for both.
"""

import html
import itertools
import linecache
import os
import traceback

import IPython
import py4j
import pyspark.errors.exceptions

SUMMARY_CHARS_MAX = 10_000
CAUSE_CHARS_MAX = 50_000
FRAMES_MAX = 40
CAUSES_MAX = 20
GROUPS_DEEP_MAX = 10
GROUPS_WIDE_MAX = 15
CONTEXT_LINES = 2
WIDTH = 75

_RED, _GREEN, _CYAN, _RESET = "\x1b[0;31m", "\x1b[0;32m", "\x1b[0;36m", "\x1b[0m"

# Frames that say nothing to the user: ours, IPython's, and those that carry a call to the JVM and its exception back.
_HIDDEN = tuple(
    os.path.join(os.path.dirname(os.path.abspath(package)), "")
    for package in (__file__, IPython.__file__, py4j.__file__, pyspark.errors.exceptions.__file__)
)


# The library as Spark's Python workers have it: what calls the user's functions there.
_WORKER = os.path.join("pyspark.zip", "pyspark", "")

_MACHINERY = tuple(f"\tat {package}." for package in ("py4j", "java.base/jdk.internal.reflect", "java.base/java.lang.reflect", "firesteel"))


def describe(error):
    """Returns `(summary, cause)`."""
    java = _java_root(error)
    if java is not None:
        summary = html.escape(_cut(java, SUMMARY_CHARS_MAX), quote=False)
    else:
        message = _worker_root(error) or _message(error)
        summary = f"<span class='ansi-red-fg'>{type(error).__name__}</span>: "
        summary += html.escape(_cut(message, SUMMARY_CHARS_MAX), quote=False)
    return summary, _cut("\n\n".join(_blocks(error, set())), CAUSE_CHARS_MAX)


def _blocks(error, seen):
    """The texts of an exception and of those that led to it, first the oldest."""
    seen.add(id(error))
    blocks = []
    earlier, link = _earlier(error)
    if earlier is not None and id(earlier) not in seen:
        blocks += _blocks(earlier, seen) + [link]
    return blocks + [_block(error)]


def _earlier(error):
    if error.__cause__ is not None:
        return error.__cause__, "The above exception was the direct cause of the following exception:"
    if error.__context__ is not None and not error.__suppress_context__:
        return error.__context__, "During handling of the above exception, another exception occurred:"
    return None, None


def _block(error):
    name = type(error).__name__
    title = "Traceback (most recent call last)"
    head = f"{'-' * WIDTH}\n{_RED}{name}{_RESET}{title.rjust(max(WIDTH - len(name), len(title) + 1))}"
    frames = _frames(error.__traceback__)
    if isinstance(error, SyntaxError):
        frames.append(_syntax_frame(error))
        head += "\n"
    body = "\n\n".join(frames)
    return "\n".join(filter(None, [head, body])) + "\n\n" + _last_lines(error)


def _last_lines(error, depth=0):
    name, message = type(error).__name__, _message(error)
    java = _java_root(error)
    if java is not None:
        message = f"{java}\n\n{_without_machinery(message)}"
    lines = [f"{name}: {message}"]
    lines += [str(note) for note in getattr(error, "__notes__", None) or ()]
    if _is_group(error) and depth < GROUPS_DEEP_MAX:
        lines += _inner_lines(error.exceptions, depth + 1)
    return "\n".join(lines)


def _inner_lines(errors, depth):
    """The exceptions of a group, each with its own frames."""
    lines = []
    for number, error in enumerate(errors[:GROUPS_WIDE_MAX], 1):
        texts = [*_frames(error.__traceback__), _last_lines(error, depth)]
        lines.append(f"  +- {number} {'-' * 16}")
        lines += ["  | " + line for text in texts for line in text.splitlines()]
    if len(errors) > GROUPS_WIDE_MAX:
        lines.append(f"  [... and {len(errors) - GROUPS_WIDE_MAX} more]")
    return lines


def _frames(tb):
    entries = [entry for entry in traceback.walk_tb(tb) if not _is_hidden(entry[0].f_code.co_filename)]
    # What calls the user's code is not the user's: event loops, for one.
    first = next((at for at, (frame, _) in enumerate(entries) if _is_users(frame)), 0)
    entries = entries[first:]
    texts = _without_repeats(entries)
    if len(texts) > FRAMES_MAX:
        half = FRAMES_MAX // 2
        texts[half:-half] = [f"    [... skipping {len(texts) - 2 * half} frames]"]
    return texts


def _is_hidden(path):
    return path.startswith(_HIDDEN) or _WORKER in path


def _without_repeats(entries):
    """The texts of the frames, endless recursion told once."""
    texts = []
    for (code, line), same in itertools.groupby(entries, lambda entry: (entry[0].f_code, entry[1])):
        same = list(same)
        texts.append(_frame(*same[0]))
        if len(same) > 1:
            texts.append(f"    [... the same in {code.co_name}, line {line}, {len(same) - 1} more times]")
    return texts


def _is_users(frame):
    return frame.f_code.co_filename.startswith(("<command-", "<timed "))


def _frame(frame, line):
    code = frame.f_code
    path = code.co_filename if code.co_filename.startswith("<") else os.path.abspath(code.co_filename)
    place = f"File {_GREEN}{path}:{line}{_RESET}"
    if code.co_name != "<module>":
        place += f", in {_CYAN}{code.co_name}{_RESET}"
    lines = [place]
    source = linecache.getlines(code.co_filename, frame.f_globals)
    for number in range(max(line - CONTEXT_LINES, 1), min(line + CONTEXT_LINES, len(source)) + 1):
        lines.append(_source_line(number, source[number - 1].rstrip(), number == line))
    return "\n".join(lines)


def _source_line(number, text, current):
    if current:
        return f"{_GREEN}{'-' * max(5 - len(str(number)), 1)}> {number}{_RESET} {text}".rstrip()
    return f"{number:>7} {text}".rstrip()


def _syntax_frame(error):
    lines = [f'  File {_GREEN}"{error.filename}"{_RESET}, line {error.lineno}']
    text = error.text if isinstance(error.text, str) else None
    if text:
        bare = text.strip("\n").lstrip()
        lines.append("    " + bare.rstrip())
        if error.offset:
            lines.append("    " + " " * (error.offset - 1 - (len(text.strip("\n")) - len(bare))) + _RED + "^" + _RESET)
    return "\n".join(lines)


def _message(error):
    try:
        return str(error).strip("\n")
    except Exception:
        return f"<exception str() failed: {type(error).__name__}>"


def _java_root(error):
    """What failed first in the JVM, when pyspark made no Python exception of it: the Java exception's own text."""
    cause = getattr(error, "java_exception", None)
    if cause is None or type(error).__name__ != "Py4JJavaError":
        return None
    try:
        for _ in range(CAUSES_MAX):
            earlier = cause.getCause() if _is_wrapper(cause.getClass().getName()) else None
            if earlier is None:
                break
            cause = earlier
        name, text = cause.getClass().getName(), cause.toString()
    except Exception:
        return None
    root = _after_traceback(text) if name.endswith(".PythonException") else None
    return text if root is None else f"{name}: {root}"


def _is_wrapper(name):
    """Whether a Java exception only says where in Spark something failed."""
    return name in ("org.apache.spark.SparkException", "java.util.concurrent.ExecutionException")


def _worker_root(error):
    """What was raised in a Python worker of Spark, where that is why a job failed."""
    return _after_traceback(_message(error)) if type(error).__name__ == "PythonException" else None


def _after_traceback(text):
    """What a text that holds a Python traceback says behind the last frame; `None` where there is none."""
    lines = text.strip().splitlines()
    frames = [at for at, line in enumerate(lines) if line.startswith('  File "')]
    if not frames:
        return None
    end = next((at for at in range(frames[-1] + 1, len(lines)) if not lines[at].startswith(" ")), len(lines))
    return "\n".join(itertools.takewhile(str.strip, lines[end:])) or None


def _without_machinery(text):
    """A Java stack trace without the frames that carried the call from here to there."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(_MACHINERY))


def _is_group(error):
    return any(base.__name__ == "BaseExceptionGroup" for base in type(error).__mro__)


def _cut(text, chars_max):
    """Cuts the middle out of a text that is too long: both ends of an error matter."""
    if len(text) <= chars_max:
        return text
    half = chars_max // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out]\n{text[-half:]}"
