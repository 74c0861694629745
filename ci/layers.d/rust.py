"""Reads Rust sources far enough to tell which file uses which item of which other file.

Comments, strings and test code are skipped. Imports and paths are resolved through modules, `as`, globs and `pub use` to
the file that defines the item. `mod child;` and a `pub use` of what a module below defines are no uses by themselves.
Not seen: method calls, except on `self` where one type's `impl` is spread over files, and code that macros generate.
"""

import collections
import re

TOKEN = re.compile(r"""
    (?P<gap>\s+|//[^\n]*|'\w+(?!'))
  | [bc]?r(?P<hashes>\#*)"(?P<raw>.*?)"(?P=hashes)
  | [bc]?"(?P<text>(?:\\.|[^"\\])*)"
  | b?'(?P<char>\\.[^']*|[^'\\])'
  | (?:r\#)?(?P<word>[^\W\d]\w*)
  | \d\w*(?:\.\d\w*)? | :: | -> | => | \.\.=? | .""", re.X | re.S)
CLOSES = {"(": ")", "[": "]", "{": "}"}
KEYWORDS = set("""as async await break const continue dyn else enum extern false fn for if impl in let loop match mod move
    mut pub ref return static struct trait true type unsafe use where while""".split())
DEFINES = {"fn", "struct", "enum", "union", "trait", "type", "const", "static"}

# What a name can mean besides a module: an item that a module defines; a path into a package that is not read.
Item = collections.namedtuple("Item", "module name")
Outside = collections.namedtuple("Outside", "path")
# One name that a `use` imports, or with `glob` all names of `path`.
Import = collections.namedtuple("Import", "scope path line public glob")
# One place where a module, an item or something outside is imported or named.
Use = collections.namedtuple("Use", "file line found")


def lex(text):
    """Pairs of a token and its line; strings begin with `"`."""
    tokens, at, line = [], 0, 1
    while at < len(text):
        if text.startswith("/*", at):
            depth, end = 1, at + 2
            while depth and end < len(text):
                pair = text[end:end + 2]
                depth += (pair == "/*") - (pair == "*/")
                end += 2 if pair in ("/*", "*/") else 1
        else:
            found = TOKEN.match(text, at)
            end = found.end()
            strings = [part for part in (found["raw"], found["text"], found["char"]) if part is not None]
            if not found["gap"]:
                tokens.append(('"' + strings[0] if strings else found["word"] or found[0], line))
        line += text.count("\n", at, end)
        at = end
    return tokens


def brackets(words):
    """Where each opening bracket is closed."""
    close, stack = {}, []
    for i, word in enumerate(words):
        if word in CLOSES:
            stack.append(i)
        elif word in CLOSES.values() and stack:
            close[stack.pop()] = i
    return close


def is_for_tests(attribute):
    """Whether an item with this attribute is compiled for tests only; with `any(test, …)` it is not."""
    if attribute[:2] != ["cfg", "("]:
        return attribute == ["test"]
    return attribute[2] == "test" or (attribute[2] == "all" and "test" in attribute and not {"not", "any"} & set(attribute))


def without_tests(tokens):
    words = [word for word, _ in tokens]
    close, kept, i = brackets(words), [], 0
    while i < len(words):
        start = i + 2 if words[i + 1:i + 2] == ["!"] else i + 1
        if words[i] == "#" and start in close and is_for_tests(words[start + 1:close[start]]):
            if words[i + 1] == "!":
                return []
            i = end_of_item(words, close, close[start] + 1)
        else:
            kept.append(tokens[i])
            i += 1
    return kept


def end_of_item(words, close, i):
    while words[i] == "#":
        i = close[i + 1] + 1
    if words[i] == "pub":
        i = close[i + 1] + 1 if words[i + 1] == "(" else i + 1
    has_semicolon = words[i] in ("use", "static", "let", "type") or (words[i] == "const" and words[i + 1] != "fn")
    while i < len(words) and words[i] not in CLOSES.values():
        if words[i] == ";" or (not has_semicolon and words[i] in (",", "{")):
            return close.get(i, i) + 1
        i = close.get(i, i) + 1
    return i


class Scope:
    """The names of a module, or of a block in it."""

    def __init__(self, module, around, impl=None):
        self.module, self.around, self.impl = module, around, impl or (around and around.impl)
        self.names, self.globs = collections.defaultdict(list), []


class Module(Scope):
    def __init__(self, file, parent):
        super().__init__(self, None)
        self.file, self.parent = file, parent
        self.root = parent.root if parent else self

    def is_below(self, other):
        return self is other or (self.parent is not None and self.parent.is_below(other))


class Impl:
    """An `impl` block: the path of its type, the methods in it, and what it calls on itself."""

    def __init__(self, scope, path, is_inherent):
        self.scope, self.path, self.is_inherent, self.methods, self.calls = scope, path, is_inherent, [], []


class Crate:
    """What the sources of one package contain."""

    def __init__(self, tree, folder, name, report):
        self.tree, self.name, self.report = tree, name, report
        self.imports, self.paths, self.impls, self.calls = [], [], [], []
        source = folder / "src"
        self.library, *_ = [self.read(path, None) for path in [source / "lib.rs"] if path.exists()] or [None]
        for path in [source / "main.rs", *sorted(source.glob("bin/*.rs")), *sorted(source.glob("bin/*/main.rs"))]:
            if path.exists():
                self.read(path, None)

    def read(self, path, parent):
        module = Module(path.relative_to(self.tree).as_posix(), parent)
        tokens = without_tests(lex(path.read_text()))
        below = path.parent if parent is None or path.name == "mod.rs" else path.with_suffix("")
        Reader(self, path.parent, below, tokens).scan(0, len(tokens), module)
        return module


class Reader:
    """Scans the tokens of one file. Its child modules are in `below`, or with `#[path]` relative to `beside`."""

    def __init__(self, crate, beside, below, tokens):
        self.crate, self.beside, self.below = crate, beside, below
        # Padded, so that looking ahead needs no care.
        self.words = [word for word, _ in tokens] + [""] * 4
        self.lines = [line for _, line in tokens]
        self.close = brackets(self.words)

    def is_name(self, i):
        return re.match(r"[^\W\d]", self.words[i]) is not None and self.words[i] not in KEYWORDS

    def starts_path(self, i, before):
        """Not a field or a method, nor what follows `<T as Trait>::`, nor a macro's variable; but `::std` and `$crate`."""
        if before == "::":
            return self.words[i - 2] != ">" and not self.is_name(i - 2)
        return before != "." and (before != "$" or self.words[i] == "crate")

    def scan(self, i, end, scope, is_body=False):
        """`is_body`: these tokens are directly in an `impl` or a trait, whose functions are no names of the scope."""
        words = self.words
        while i < end:
            word, before = words[i], words[i - 1] if i else ""
            if word == "pub" and words[i + 1] == "(" and words[i + 2] in ("crate", "super", "self", "in"):
                i = self.close[i + 1]
            elif word == "use" and words[i + 1] != "<":
                i = self.use_tree(i + 1, (), scope, before in ("pub", ")"))
            elif word == "mod" and self.is_name(i + 1):
                i = self.module(i, scope)
            elif word == "macro_rules" and words[i + 1] == "!":
                for place in (scope, scope.module.root):
                    place.names[words[i + 2]].append(Item(scope.module, words[i + 2]))
                i += 2
            elif word == "trait" or (word == "impl" and before in ("", "}", ";", "{", "]", "unsafe")):
                i = self.block(i, scope)
            elif word in DEFINES and self.is_name(i + 1) and before not in ("*", "raw"):
                if not is_body:
                    scope.names[words[i + 1]].append(Item(scope.module, words[i + 1]))
                elif word == "fn":
                    scope.impl.methods.append(words[i + 1])
                i += 1
            elif word == "{":
                self.scan(i + 1, self.close[i], Scope(scope.module, scope))
                i = self.close[i]
            elif self.is_name(i) and self.starts_path(i, before):
                i = self.path(i, scope)
            elif before == "=" and re.fullmatch(r'"\w+(::\w+)+', word):
                # As in `#[serde(with = "some::module")]`.
                self.crate.paths.append((scope, word[1:].split("::"), self.lines[i]))
            elif before in (".", "::") and words[i + 1] == "(" and words[i + 2] != ")":
                self.crate.calls.append((scope.module.file, self.lines[i], word))
            i += 1

    def use_tree(self, i, path, scope, public):
        """Reads one branch of a `use` and returns where it ends."""
        line, name = self.lines[i], None
        while self.words[i] not in (",", ";", "}"):
            word = self.words[i]
            if word == "{":
                inner = i + 1
                while inner < self.close[i]:
                    inner = self.use_tree(inner, path, scope, public) + 1
                return self.close[i] + 1
            if word == "as":
                i += 1
                name = self.words[i]
            elif word not in ("::", "$") and not (word == "self" and path):
                path = (*path, word)
            i += 1
        if path:
            is_glob = path[-1] == "*"
            entry = Import(scope, path[:-1] if is_glob else path, line, public, is_glob)
            self.crate.imports.append(entry)
            (scope.globs if is_glob else scope.names[name or path[-1]]).append(entry)
        return i

    def module(self, i, scope):
        name, parent = self.words[i + 1], scope.module
        if self.words[i + 2] == "{":
            inline = Module(parent.file, parent)
            scope.names[name].append(inline)
            outer, self.below = self.below, self.below / name
            self.scan(i + 3, self.close[i + 2], inline)
            self.below = outer
            return self.close[i + 2]
        given = [self.words[n + 2][1:] for n in range(max(i - 6, 0), i) if self.words[n:n + 2] == ["path", "="]]
        places = [*(self.beside / path for path in given), self.below / f"{name}.rs", self.below / name / "mod.rs"]
        found = [path for path in places if path.exists()]
        if found:
            scope.names[name].append(self.crate.read(found[0], parent))
        else:
            self.crate.report(f"{parent.file}:{self.lines[i]}", f"there is no file for `mod {name}`")
        return i + 2

    def block(self, start, scope):
        """An `impl` block or a trait."""
        i = start + 1
        while self.words[i] not in ("{", ";"):
            i = self.close.get(i, i) + 1
        header = range(start + 1, i)
        traits = [n + 1 for n in header if self.words[n] == "for" and self.words[n + 1] != "<"]
        at, depth = start + 1, 0
        if traits:
            at = traits[-1]
        elif self.words[at] == "<":
            at = next(n + 1 for n in header if (depth := depth + (self.words[n] == "<") - (self.words[n] == ">")) == 0)
        while self.words[at] in ("&", "mut", "dyn"):
            at += 1
        impl = Impl(scope, self.segments(at)[0] if self.is_name(at) else [], not traits)
        if self.words[start] == "impl":
            self.crate.impls.append(impl)
        else:
            scope.names[self.words[start + 1]].append(Item(scope.module, self.words[start + 1]))
        self.scan(start + 1, i, scope)
        self.scan(i + 1, self.close.get(i, i), Scope(scope.module, scope, impl), is_body=True)
        return self.close.get(i, i)

    def segments(self, i):
        path = [self.words[i]]
        while self.words[i + 1] == "::" and self.is_name(i + 2):
            i += 2
            path.append(self.words[i])
        return path, i

    def path(self, i, scope):
        path, last = self.segments(i)
        line, after = self.lines[i], self.words[last + 1:last + 4]
        if scope.impl and path == ["self"] and after[0] == "." and after[2] == "(":
            scope.impl.calls.append((after[1], line))
        elif scope.impl and path[0] == "Self" and len(path) > 1:
            scope.impl.calls.append((path[1], line))
        # A single name before a colon is a field or a variable.
        elif path not in (["self"], ["Self"]) and not (len(path) == 1 and after[0] == ":"):
            self.crate.paths.append((scope, path, line))
        if len(path) > 1 and after[0] == "(" and path[-2][0].isupper():
            self.crate.calls.append((scope.module.file, line, path[-1]))
        return last


class Sources:
    """All crates resolved: every use, and for each pair of files the names that tie them, with their first lines."""

    def __init__(self, crates, packages, report):
        self.report, self.uses, self.arrows = report, [], collections.defaultdict(dict)
        self.libraries = {crate.name: crate.library for crate in crates if crate.library}
        self.packages = {"std", "core", "alloc", *packages, *self.libraries}
        for crate in crates:
            for one in crate.imports:
                # An import cannot mean itself: the first `plan` of `use plan::plan` is a module.
                found = self.resolve(one.scope, one.path, True, frozenset({id(one)}))
                self.record(one.scope, one.path, one.line, found, one.public)
            for scope, path, line in crate.paths:
                self.record(scope, path, line, self.resolve(scope, path))
            self.tie_methods(crate)

    def resolve(self, scope, path, is_import=False, seen=frozenset()):
        """All that a path can mean. `seen` holds the imports being followed, so that a loop of them ends."""
        here = self.start(scope, path[0], seen)
        if not here and (is_import or (len(path) > 1 and path[0] in self.packages)):
            here = [self.libraries.get(path[0]) or Outside((path[0],))]
        for name in path[1:]:
            here = [one for one in here if isinstance(one, Module)] or here
            here = [found for one in here for found in self.member(one, name, seen)]
        return here

    def start(self, scope, name, seen):
        module = scope.module
        if name in ("crate", "self", "super"):
            return [{"crate": module.root, "self": module, "super": module.parent or module}[name]]
        found = []
        while scope and not found:
            found, scope = self.named(scope, name, seen), scope.around
        return found

    def member(self, owner, name, seen):
        if isinstance(owner, Outside):
            return [Outside((*owner.path, name))]
        # A type's variants and functions are taken to be where the type is.
        if isinstance(owner, Item):
            return [owner]
        return [owner.parent or owner] if name == "super" else self.named(owner, name, seen)

    def named(self, scope, name, seen):
        found = []
        for entry in scope.names.get(name, ()):
            if not isinstance(entry, Import):
                found.append(entry)
            elif id(entry) not in seen:
                found += self.resolve(entry.scope, entry.path, True, seen | {id(entry)})
        for entry in () if found else scope.globs:
            if id(entry) not in seen:
                now = seen | {id(entry)}
                owners = self.resolve(entry.scope, entry.path, True, now)
                found += [one for owner in owners if isinstance(owner, Module) for one in self.named(owner, name, now)]
        return found

    def record(self, scope, path, line, found, public=False):
        module = scope.module
        if not found and len(path) > 1 and any(isinstance(one, Module) for one in self.start(scope, path[0], frozenset())):
            self.report(f"{module.file}:{line}", f"cannot be followed: {'::'.join(path)}")
        for one in found:
            self.uses.append(Use(module.file, line, one))
            # A facade that re-exports its child does not depend on it; code that names the item does.
            if isinstance(one, Item) and not (public and one.module.is_below(module)):
                self.tie(module.file, one.module.file, one.name, line)

    def tie(self, source, target, name, line):
        if source != target:
            self.arrows[source, target].setdefault(name, line)

    def tie_methods(self, crate):
        """Ties files that share the `impl` of one type, by the methods that it calls on itself."""
        homes, typed = collections.defaultdict(dict), []
        for impl in (one for one in crate.impls if one.path):
            for item in (one for one in self.resolve(impl.scope, impl.path) if isinstance(one, Item)):
                typed.append((item, impl))
                if impl.is_inherent:
                    homes[item].update(dict.fromkeys(impl.methods, impl.scope.module.file))
        for item, impl in typed:
            for name, line in impl.calls:
                file = impl.scope.module.file
                self.tie(file, homes[item].get(name, file), f"{item.name}::{name}", line)


def circles(arrows):
    """The strongly connected components of more than one file, by Tarjan's algorithm."""
    below = collections.defaultdict(set)
    for source, target in arrows:
        below[source].add(target)
    number, low, stack, found = {}, {}, [], []

    def visit(file):
        number[file] = low[file] = len(number)
        stack.append(file)
        for target in sorted(below[file]):
            if target not in number:
                visit(target)
            if target in stack:
                low[file] = min(low[file], low[target])
        if low[file] == number[file]:
            circle = stack[stack.index(file):]
            del stack[stack.index(file):]
            if len(circle) > 1:
                found.append(sorted(circle))

    for file in sorted(below):
        if file not in number:
            visit(file)
    return found
