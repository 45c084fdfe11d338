use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pretty_assertions::assert_eq;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The names in a directory, without the ending of file names.
fn names(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

/// A target with the texts of its corpus.
type Corpus = (&'static Target, Vec<Vec<u8>>);

/// All of them, read once.
fn corpora() -> &'static [Corpus] {
    static READ: LazyLock<Vec<Corpus>> =
        LazyLock::new(|| TARGETS.iter().map(|target| (target, corpus(target))).collect());
    &READ
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let files = fs::read_dir(directory("corpus").join(target.name)).expect("a corpus");
    let mut paths: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len());
    assert_eq!(names(&directory("fuzz_targets")), targets);
    assert_eq!(names(&directory("corpus")), targets);
    let manifest = fs::read_to_string(directory("Cargo.toml")).expect("the programs' manifest");
    for target in TARGETS {
        let (name, path) = (target.name, format!("fuzz_targets/{}.rs", target.name));
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"\n")), "{name}");
        let program = fs::read_to_string(directory(&path)).expect("a program");
        assert!(program.contains(&format!("rlondiste::fuzz::check(\"{name}\", data)")), "{program}");
        assert!(!corpus(target).is_empty(), "{name}");
    }
}

#[test]
fn corpus_keeps_the_promises() {
    for (target, corpus) in corpora() {
        for data in corpus {
            (target.check)(data);
        }
    }
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index),
    Remove(Index, usize),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
    /// Puts the end of another entry behind the beginning.
    Splice(Index, Index, Index),
}

/// Pieces that mean something to one of the decoders.
const PIECES: &[&[u8]] = &[
    b"'",
    b"''",
    b"\\",
    b"\\\\",
    b"\"",
    b"\"\"",
    b"E'",
    b"null",
    b" is null",
    b" where ",
    b" and ",
    b"=",
    b",",
    b"(",
    b")",
    b";",
    b"%",
    b"%00",
    b"%ff",
    b"&",
    b"+",
    b":",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"1e999",
    b"-0",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\xc3",
    "é".as_bytes(),
    "\u{feff}".as_bytes(),
    b"9223372036854775807",
    b"-1",
    b"%(job_name)s",
    b"%(a)s",
    b"[londiste]\n",
    b"*:",
    b"#",
    b"@",
    b"/",
    b"?",
    b"[::1]",
    b"PGCOPY\n\xff\r\n\0",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), 1..9_usize).prop_map(|(at, len)| Change::Remove(at, len)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Change::Insert(at, piece.to_vec())),
        (any::<Index>(), 1..40_usize).prop_map(|(at, len)| Change::Repeat(at, len)),
        (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(at, other, from)| Change::Splice(at, other, from)),
    ]
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = |at: &Index, len: usize| at.index(len + 1);
        match self {
            Change::Cut(at) => data.truncate(place(at, data.len())),
            Change::Remove(at, len) => {
                let at = place(at, data.len());
                data.drain(at..(at + len).min(data.len()));
            }
            Change::Set(at, byte) => {
                if !data.is_empty() {
                    let at = at.index(data.len());
                    data[at] = *byte;
                }
            }
            Change::Insert(at, bytes) => {
                let at = place(at, data.len());
                data.splice(at..at, bytes.iter().copied());
            }
            Change::Repeat(at, len) => {
                let at = place(at, data.len());
                let piece = data[at..(at + len).min(data.len())].to_vec();
                data.splice(at..at, piece);
            }
            Change::Splice(at, other, from) => {
                let other = other.get(corpus);
                data.truncate(place(at, data.len()));
                data.extend_from_slice(&other[place(from, other.len())..]);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_keep_the_promises(data in vec(any::<u8>(), 0..200)) {
        for target in TARGETS {
            (target.check)(&data);
        }
    }

    #[test]
    fn changed_pieces_of_the_corpus_keep_the_promises(entry in any::<Index>(), changes in vec(change(), 1..8)) {
        for (target, corpus) in corpora() {
            let mut data = entry.get(corpus).clone();
            for change in &changes {
                change.apply(&mut data, corpus);
            }
            (target.check)(&data);
        }
    }
}
