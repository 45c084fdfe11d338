//! The modules of a crate: who declares what, and which file uses a name that another file defines.
//!
//! A file uses another file if it writes a path (in `use`, in code, in a macro) that leads to an item which the other file
//! *defines*. Re-exports are followed: a file whose `pub use` hands on a name is not the one that is used. So `mod x;` is no
//! use, a `pub use` is a use of the file that defines the item, and a `mod.rs` that defines nothing is used by nobody.
//! A path that names only a module is no use; what is then taken from the module is. Code for tests is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Names from the crate's root on.
type Module = Vec<String>;

/// A `use`: the name it makes, and what it stands for.
#[derive(Debug)]
struct Import {
    /// `None` for `*`.
    name: Option<String>,
    path: Vec<String>,
}

/// What the text of a file says.
#[derive(Debug, Default)]
pub struct File {
    /// From the directory `src` on, with slashes: `pg/mod.rs`.
    pub path: String,
    /// All paths in the file, single names too: `crate::pg::Db` is `["crate", "pg", "Db"]`.
    pub paths: BTreeSet<Vec<String>>,
    /// The literals as they are written, with their quotes.
    pub literals: Vec<String>,
    module: Module,
    children: Vec<String>,
    items: BTreeSet<String>,
    imports: Vec<Import>,
}

/// One file uses an item of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: String,
    pub to: String,
    /// The last word of the path: the item.
    pub name: String,
}

/// Where a path leads.
#[derive(Debug)]
enum Place {
    Module(Module),
    /// An item of this module.
    Item(Module),
    /// Another crate, a local name, something that the compiler finds.
    Elsewhere,
}

/// All files that the compiler reads for the library, without those for tests.
#[derive(Debug, Default)]
pub struct Tree {
    modules: BTreeMap<Module, File>,
}

impl Tree {
    /// Reads `lib.rs` and every file below it; `read` returns the text of a file, or `None` if there is no such file.
    pub fn read(read: &impl Fn(&str) -> Option<String>) -> Tree {
        let mut tree = Tree::default();
        let mut waiting = vec![(Module::new(), "lib.rs".to_owned())];
        while let Some((module, path)) = waiting.pop() {
            let text = read(&path).unwrap_or_else(|| panic!("no file {path}"));
            let tokens = TokenStream::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut file = File { path: path.clone(), module: module.clone(), ..File::default() };
            file.scan(tokens, Level::Top);
            let directory = match path.strip_suffix("mod.rs").or_else(|| path.strip_suffix("lib.rs")) {
                Some(directory) => directory.to_owned(),
                None => format!("{}/", path.trim_end_matches(".rs")),
            };
            for child in &file.children {
                let flat = format!("{directory}{child}.rs");
                let path = if read(&flat).is_some() { flat } else { format!("{directory}{child}/mod.rs") };
                let mut module = module.clone();
                module.push(child.clone());
                waiting.push((module, path));
            }
            tree.modules.insert(module, file);
        }
        tree
    }

    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.modules.values()
    }

    /// Who uses whom. A path from `crate`, `self` or `super` that leads nowhere is an error of this reader.
    pub fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for file in self.files() {
            let imported = file.imports.iter().map(|import| (&import.path, import.name.is_none()));
            for (path, is_glob) in imported.chain(file.paths.iter().map(|path| (path, false))) {
                let to = match self.resolve(&file.module, path, 0) {
                    Place::Item(module) => module,
                    Place::Module(module) if is_glob => module,
                    Place::Module(_) => continue,
                    Place::Elsewhere => {
                        let is_ours = ["crate", "self", "super"].contains(&path[0].as_str()) && path.len() > 1;
                        assert!(!is_ours, "{}: cannot follow {}", file.path, path.join("::"));
                        continue;
                    }
                };
                let to = self.modules[&to].path.clone();
                if to != file.path {
                    let name = path.last().cloned().unwrap_or_default();
                    edges.insert(Edge { from: file.path.clone(), to, name });
                }
            }
        }
        edges
    }

    fn resolve(&self, from: &Module, path: &[String], depth: u32) -> Place {
        let mut module = from.clone();
        let mut rest = path;
        while let [first, more @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                "self" => {}
                _ => break,
            }
            rest = more;
        }
        if rest.len() == path.len() && path.len() == 1 {
            // A single name is a local one, or imported, and then the import counts.
            return Place::Elsewhere;
        }
        self.walk(module, rest, depth)
    }

    fn walk(&self, mut module: Module, mut rest: &[String], depth: u32) -> Place {
        while let [first, more @ ..] = rest {
            let file = &self.modules[&module];
            let is_child = file.children.contains(first);
            // A function may have the name of its module: at the end of a path the function is meant.
            if is_child && !(more.is_empty() && self.item_of(file, first, depth).is_some()) {
                module.push(first.clone());
                rest = more;
                continue;
            }
            return match self.item_of(file, first, depth) {
                Some(Place::Module(found)) => self.walk(found, more, depth),
                Some(place) => place,
                None => Place::Elsewhere,
            };
        }
        Place::Module(module)
    }

    /// What a name that is no child module means in a file: an item of its own, or what a `use` says.
    fn item_of(&self, file: &File, name: &str, depth: u32) -> Option<Place> {
        if file.items.contains(name) {
            return Some(Place::Item(file.module.clone()));
        }
        // A chain of re-exports is short; a name that is imported under its own name from another crate has no end.
        if depth > 8 {
            return None;
        }
        let found = |import: &Import| match &import.name {
            Some(imported) if imported == name => match self.resolve(&file.module, &import.path, depth + 1) {
                Place::Elsewhere => None,
                place => Some(place),
            },
            Some(_) => None,
            None => {
                let mut path = import.path.clone();
                path.push(name.to_owned());
                match self.resolve(&file.module, &path, depth + 1) {
                    Place::Elsewhere => None,
                    place => Some(place),
                }
            }
        };
        file.imports.iter().find_map(found)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The file itself: what stands here is an item of the module.
    Top,
    /// Inside of braces, parentheses or brackets.
    Inner,
}

impl File {
    fn scan(&mut self, tokens: TokenStream, level: Level) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let Some(attribute) = attribute(&tokens[at..]) {
                at += attribute.length;
                if attribute.is_for_tests {
                    at += item_length(&tokens[at..]);
                }
                continue;
            }
            at += match &tokens[at] {
                TokenTree::Group(group) => {
                    self.scan(group.stream(), Level::Inner);
                    1
                }
                TokenTree::Literal(literal) => {
                    self.literals.push(literal.to_string());
                    1
                }
                TokenTree::Punct(_) => 1,
                // Not `impl Trait + use<>`.
                TokenTree::Ident(word)
                    if word == "use" && !tokens.get(at + 1).is_some_and(|next| is_punct(next, '<')) =>
                {
                    self.take_use(&tokens[at..])
                }
                TokenTree::Ident(word) => {
                    if level == Level::Top {
                        self.take_item(&word.to_string(), &tokens[at + 1..]);
                    }
                    self.take_path(&tokens, at)
                }
            };
        }
    }

    /// Takes the name of an item that begins with this word.
    fn take_item(&mut self, word: &str, after: &[TokenTree]) {
        let name = match (word, after) {
            ("macro_rules", [TokenTree::Punct(_), TokenTree::Ident(name), ..])
            | ("static", [TokenTree::Ident(_), TokenTree::Ident(name), ..])
            | (
                "const" | "enum" | "fn" | "mod" | "static" | "struct" | "trait" | "type" | "union",
                [TokenTree::Ident(name), ..],
            ) => name.to_string(),
            // A macro's call may define each of the names that it is given.
            (_, [TokenTree::Punct(_), TokenTree::Group(group), ..]) if is_punct(&after[0], '!') => {
                self.items.extend(group.stream().into_iter().filter_map(|token| match token {
                    TokenTree::Ident(name) => Some(name.to_string()),
                    _ => None,
                }));
                return;
            }
            _ => return,
        };
        if word != "mod" {
            self.items.insert(name);
        } else if after.get(1).is_some_and(|token| is_punct(token, ';')) {
            self.children.push(name);
        } else {
            panic!("{}: module {name} has no file of its own", self.path);
        }
    }

    /// Takes the path that begins here; returns its length in tokens.
    fn take_path(&mut self, tokens: &[TokenTree], start: usize) -> usize {
        let (path, length) = path(&tokens[start..]);
        // `<T as Trait>::name` goes on where no path begins.
        if !(start >= 2 && is_colons(&tokens[start - 2..])) {
            self.paths.insert(path);
        }
        length
    }

    /// Takes a whole `use ...;`; returns its length in tokens.
    fn take_use(&mut self, tokens: &[TokenTree]) -> usize {
        let end = tokens.iter().position(|token| is_punct(token, ';')).unwrap_or(tokens.len());
        self.take_use_tree(&[], &tokens[1..end]);
        end
    }

    fn take_use_tree(&mut self, prefix: &[String], tokens: &[TokenTree]) {
        let (more, length) = path(tokens);
        let mut path = [prefix, &more].concat();
        let rest = &tokens[length..];
        match rest {
            [a, b, TokenTree::Group(group)] if is_punct(a, ':') && is_punct(b, ':') => {
                self.take_use_group(&path, group);
            }
            [TokenTree::Group(group)] if path.is_empty() => self.take_use_group(&path, group),
            [a, b, star] if is_punct(a, ':') && is_punct(b, ':') && is_punct(star, '*') => {
                self.imports.push(Import { name: None, path });
            }
            _ => {
                if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                let name = match rest {
                    [TokenTree::Ident(word), TokenTree::Ident(name)] if word == "as" => Some(name.to_string()),
                    _ => path.last().cloned(),
                };
                assert!(name.is_some(), "{}: cannot read a use", self.path);
                self.paths.insert(path.clone());
                self.imports.push(Import { name, path });
            }
        }
    }

    fn take_use_group(&mut self, prefix: &[String], group: &Group) {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        for part in tokens.split(|token| is_punct(token, ',')).filter(|part| !part.is_empty()) {
            self.take_use_tree(prefix, part);
        }
    }
}

struct Attribute {
    length: usize,
    is_for_tests: bool,
}

fn attribute(tokens: &[TokenTree]) -> Option<Attribute> {
    let (group, length) = match tokens {
        [hash, TokenTree::Group(group), ..] if is_punct(hash, '#') => (group, 2),
        [hash, mark, TokenTree::Group(group), ..] if is_punct(hash, '#') && is_punct(mark, '!') => (group, 3),
        _ => return None,
    };
    let is_for_tests = group.stream().to_string().replace(' ', "") == "cfg(test)";
    (group.delimiter() == Delimiter::Bracket).then_some(Attribute { length, is_for_tests })
}

/// How many tokens the item that begins here has: up to a semicolon or the end of its braces.
fn item_length(tokens: &[TokenTree]) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(token, ';'),
    };
    tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1)
}

/// The words `a::b::c` that stand here, and how many tokens they take.
fn path(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        words.push(word.to_string().trim_start_matches("r#").to_owned());
        at += 1;
        if !(is_colons(&tokens[at..]) && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_)))) {
            break;
        }
        at += 2;
    }
    (words, at)
}

fn is_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [a, b, ..] if is_punct(a, ':') && is_punct(b, ':'))
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}
