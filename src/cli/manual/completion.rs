//! Completions for shells: the INI, then the words of commands, and options. Names of tables are not completed: that would ask a
//! database at each key.

use super::super::command;
use super::super::options;
use super::super::printed::Shell;
use super::super::program::Program;

/// A word or two of a command with its description.
type Entry = (&'static str, &'static str);

/// The script that the shell reads.
pub(in crate::cli) fn script(shell: Shell) -> String {
    let programs = [
        ("rlondiste", vec![Program::Pgqadm, Program::Londiste]),
        ("pgqadm", vec![Program::Pgqadm]),
        ("londiste", vec![Program::Londiste]),
    ];
    match shell {
        Shell::Bash => BASH.to_owned() + &programs.map(|(name, programs)| bash(name, &programs)).concat(),
        Shell::Zsh => {
            "#compdef rlondiste pgqadm londiste\n".to_owned()
                + ZSH
                + &programs.map(|(name, programs)| zsh(name, &programs)).concat()
                + "_rlondiste \"$@\"\n"
        }
        Shell::Fish => programs.map(|(name, programs)| fish(name, &programs)).concat(),
    }
}

/// The commands of the programs, each once.
fn commands(programs: &[Program]) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for spec in programs.iter().flat_map(|program| command::of(*program)) {
        if !all.iter().any(|(words, _)| *words == spec.words) {
            all.push((spec.words, spec.about));
        }
    }
    all
}

/// The first words of the commands, each once.
fn first_words(programs: &[Program]) -> Vec<&'static str> {
    let mut words: Vec<&str> = commands(programs).iter().filter_map(|(words, _)| words.split(' ').next()).collect();
    words.dedup();
    words
}

/// The second words of the commands that begin with this one.
fn second_words(programs: &[Program], first: &str) -> Vec<&'static str> {
    commands(programs)
        .iter()
        .filter_map(|(words, _)| words.split_once(' '))
        .filter(|(word, _)| *word == first)
        .map(|(_, word)| word)
        .collect()
}

fn long_options(programs: &[Program]) -> Vec<(String, String)> {
    let is_shown =
        |option: &str| programs.iter().flat_map(|program| command::of(*program)).any(|spec| spec.takes(option));
    let command = options::command(is_shown);
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown
        .filter_map(|arg| {
            Some((arg.get_long()?.to_owned(), arg.get_help().map(ToString::to_string).unwrap_or_default()))
        })
        .collect()
}

/// Finds the word of the command line that is completed: the INI, a first word, a second one, or something behind.
const BASH: &str = r#"_rlondiste() {
    local firsts=$1 options=$2 cur=${COMP_WORDS[COMP_CWORD]} words=() word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            -*) ;;
            ticker | londiste | pgqadm) if ((${#words[@]} > 0)); then words+=("$word"); fi ;;
            *) words+=("$word") ;;
        esac
    done
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
        return
    fi
    case ${#words[@]} in
        0) mapfile -t COMPREPLY < <(compgen -f -X '!*.@(ini|toml)' -- "$cur"; compgen -d -S / -- "$cur") ;;
        1) mapfile -t COMPREPLY < <(compgen -W "$firsts" -- "$cur") ;;
        2) mapfile -t COMPREPLY < <(compgen -W "$(_rlondiste_second "${words[1]}")" -- "$cur") ;;
    esac
}
"#;

fn bash(name: &str, programs: &[Program]) -> String {
    let mut text = String::new();
    if name == "rlondiste" {
        text += "_rlondiste_second() {\n    case $1 in\n";
        for first in first_words(programs) {
            let words = second_words(programs, first);
            if !words.is_empty() {
                text += &format!("        {first}) echo '{}' ;;\n", words.join(" "));
            }
        }
        text += "    esac\n}\n";
    }
    let options: Vec<String> = long_options(programs).iter().map(|(option, _)| format!("--{option}")).collect();
    let function = format!("_rlondiste_{name}");
    text + &format!(
        "{function}() {{ _rlondiste '{}' '{}'; }}\ncomplete -o filenames -F {function} {name}\n",
        first_words(programs).join(" "),
        options.join(" ")
    )
}

const ZSH: &str = r#"_rlondiste() {
    local -a words_before
    local word
    for word in "${words[@]:1:$((CURRENT - 2))}"; do
        case $word in
            -*) ;;
            ticker | londiste | pgqadm) (( ${#words_before} > 0 )) && words_before+=("$word") ;;
            *) words_before+=("$word") ;;
        esac
    done
    local -a firsts options
    "_rlondiste_of_${service:-rlondiste}"
    if [[ ${words[CURRENT]} == -* ]]; then
        _describe -o option options
    elif (( ${#words_before} == 0 )); then
        _files -g '*.(ini|toml)'
    elif (( ${#words_before} == 1 )); then
        _describe command firsts
    elif (( ${#words_before} == 2 )); then
        local -a seconds
        _rlondiste_second "${words_before[2]}"
        (( ${#seconds} > 0 )) && _describe command seconds
    fi
}
"#;

fn zsh(name: &str, programs: &[Program]) -> String {
    let entry =
        |word: &str, about: &str| format!("        '{}:{}'\n", word, about.replace('\'', "'\\''").replace(':', "\\:"));
    let mut text = String::new();
    if name == "rlondiste" {
        text += "_rlondiste_second() {\n    case $1 in\n";
        for first in first_words(programs) {
            let of_first: Vec<Entry> = commands(programs)
                .into_iter()
                .filter_map(|(words, about)| {
                    words.split_once(' ').filter(|(word, _)| *word == first).map(|(_, word)| (word, about))
                })
                .collect();
            if !of_first.is_empty() {
                let list: String = of_first.iter().map(|(word, about)| entry(word, about)).collect();
                text += &format!("        {first}) seconds=(\n{list}        ) ;;\n");
            }
        }
        text += "    esac\n}\n";
    }
    let about = |first: &str| {
        commands(programs)
            .iter()
            .find(|(words, _)| *words == first)
            .map_or_else(|| format!("commands of the {first}"), |(_, about)| (*about).to_owned())
    };
    let firsts: String = first_words(programs).into_iter().map(|first| entry(first, &about(first))).collect();
    let options: String =
        long_options(programs).iter().map(|(option, help)| entry(&format!("--{option}"), help)).collect();
    text + &format!("_rlondiste_of_{name}() {{\n    firsts=(\n{firsts}    )\n    options=(\n{options}    )\n}}\n")
}

/// Fish asks each line's condition; the words before the one that is completed are counted without options.
fn fish(name: &str, programs: &[Program]) -> String {
    let function = format!("__{name}_words");
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut text = format!(
        "function {function}\n    set -l words (commandline -opc)\n    set -e words[1]\n    set -l found\n    for word in $words\n        if string match -q -- '-*' $word\n            continue\n        else if test (count $found) -eq 0; and contains -- $word ticker londiste pgqadm\n            continue\n        end\n        set -a found $word\n    end\n    printf '%s\\n' $found\nend\n"
    );
    text += &format!("complete -c {name} -f\n");
    text += &format!("complete -c {name} -n 'test (count ({function})) -eq 0' -k -a '(__fish_complete_suffix .ini)'\n");
    for (words, about) in commands(programs) {
        match words.split_once(' ') {
            None => {
                text += &format!(
                    "complete -c {name} -n 'test (count ({function})) -eq 1' -a {words} -d {}\n",
                    quoted(about)
                );
            }
            Some((first, second)) => {
                text += &format!(
                    "complete -c {name} -n 'test (count ({function})) -eq 2; and test ({function})[2] = {first}' -a {second} -d {}\n",
                    quoted(about)
                );
            }
        }
    }
    for first in first_words(programs) {
        if !second_words(programs, first).is_empty() {
            text += &format!(
                "complete -c {name} -n 'test (count ({function})) -eq 1' -a {first} -d {}\n",
                quoted(&format!("commands of the {first}"))
            );
        }
    }
    for (option, help) in long_options(programs) {
        text += &format!("complete -c {name} -l {option} -d {}\n", quoted(&help));
    }
    text
}
