//! What can be said of the packages without building one; `packaging/test-deb.sh` installs and uses one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::architecture::collect;
use crate::support::{Program, Scratch, program_path};

/// Where `packaging/release.sh` lets `packaging/generate.sh` write.
const GENERATED: &str = "target/package/generated/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn manifest() -> toml::Table {
    read("Cargo.toml").parse().unwrap()
}

fn version() -> String {
    manifest()["package"]["version"].as_str().unwrap().to_owned()
}

/// The files of the repository that both packages are made of, as `Cargo.toml` writes them.
fn sources() -> BTreeSet<String> {
    let manifest = manifest();
    let metadata = &manifest["package"]["metadata"];
    let deb = metadata["deb"]["assets"].as_array().unwrap().iter().map(|asset| &asset[0]);
    let rpm = metadata["generate-rpm"]["assets"].as_array().unwrap().iter().map(|asset| &asset["source"]);
    let scripts = metadata["generate-rpm"].as_table().unwrap().iter();
    let scripts = scripts.filter(|(key, _)| key.ends_with("_script")).map(|(_, path)| path);
    let others = [&metadata["deb"]["changelog"], &metadata["deb"]["license-file"][0]];
    deb.chain(rpm).chain(scripts).chain(others).map(|path| path.as_str().unwrap().to_owned()).collect()
}

/// Runs a program, which must succeed; returns what it prints.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    assert_eq!(stderr, "", "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The files below a directory, relative to it.
fn files_below(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files_below(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name);
        }
    }
    found
}

#[test]
fn packages_are_made_of_files_that_are_there() {
    let sources = sources();
    for source in sources.iter().filter(|source| !source.starts_with("target/")) {
        let (dir, name) = source.rsplit_once('/').unwrap_or((".", source));
        let (start, end) = name.split_once('*').unwrap_or((name, ""));
        let fits = |name: &String| {
            if start == name && end.is_empty() { true } else { name.starts_with(start) && name.ends_with(end) }
        };
        let mut there = fs::read_dir(root().join(dir)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        assert!(there.any(|name| fits(&name)), "no {source}");
    }
    // A file in packaging/ that no package has was forgotten, or belongs to the making of them.
    let tools = ["Containerfile", "crates.py", "generate.sh", "release.sh", "test-deb.sh"];
    let of_packages = ["debian/changelog", "debian/postinst", "debian/postrm", "debian/prerm"];
    let packaged = |path: &String| {
        sources.contains(&format!("packaging/{path}"))
            || path.starts_with("systemd/")
            || tools.contains(&path.as_str())
            || of_packages.contains(&path.as_str())
    };
    let forgotten: Vec<_> = files_below(&root().join("packaging")).into_iter().filter(|path| !packaged(path)).collect();
    assert_eq!(forgotten, Vec::<String>::new());
}

#[test]
fn packages_have_what_is_generated_and_the_bytes_are_the_same_each_time() {
    let scratch = Scratch::new();
    let generate = |name: &str| {
        let dir = scratch.path().join(name);
        run(Command::new(root().join("packaging/generate.sh")).arg(program_path()).arg(&dir));
        dir
    };
    let (first, second) = (generate("first"), generate("second"));
    let used: BTreeSet<String> =
        sources().iter().filter_map(|source| source.strip_prefix(GENERATED)).map(str::to_owned).collect();
    assert_eq!(files_below(&first), used);
    for file in &used {
        assert!(fs::read(first.join(file)).unwrap() == fs::read(second.join(file)).unwrap(), "{file}");
    }
    let notices = run(Command::new("gzip").arg("-dc").arg(first.join("THIRD-PARTY.gz")));
    for part in ["rustls ", "Permission is hereby granted, free of charge", "Apache License"] {
        assert!(notices.contains(part), "no {part}");
    }
    let shells = first.join("completions");
    run(Command::new("bash").arg("-n").arg(shells.join("rlondiste")));
    if is_installed("zsh") {
        run(Command::new("zsh").arg("-n").arg(shells.join("_rlondiste")));
        // As compinit of a user's shell loads it.
        let load = "fpath=($1 $fpath); autoload -Uz compinit; compinit -u -d $2; print -- $_comps[londiste]; autoload +X _rlondiste";
        let args = [shells.as_os_str(), scratch.path().join("zcompdump").as_os_str()].map(ToOwned::to_owned);
        assert_eq!(run(Command::new("zsh").args(["-f", "-c", load, "-"]).args(args)), "_rlondiste\n");
    }
    if is_installed("fish") {
        let load =
            format!("source {}; complete -C 'londiste x.ini subscriber st'", shells.join("londiste.fish").display());
        let found = run(Command::new("fish").args(["--no-config", "-c", &load]).env("HOME", scratch.path()));
        assert!(found.lines().any(|line| line.starts_with("status\t")), "{found}");
    }
    if is_installed("man") {
        for page in used.iter().filter(|file| file.starts_with("man/")) {
            let mut man = Command::new("man");
            man.args(["--warnings", "--encoding=UTF-8", "--local-file"]).env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
            assert!(run(man.arg(first.join(page))).contains("NAME"), "{page}");
        }
    }
}

#[test]
fn units_run_commands_that_there_are() {
    let mut units = Vec::new();
    collect(&root().join("packaging/systemd"), "service", &mut units);
    assert_eq!(units.len(), 2);
    for unit in units {
        let text = fs::read_to_string(&unit).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let ["/usr/bin/rlondiste", program, "/etc/rlondiste/%i.ini", command] = words[..] else { panic!("{line}") };
        let called = if program == "ticker" { "pgqadm" } else { program };
        let help = Program::new(["help", command]).called(called).stderr("").run().stdout;
        assert!(help.starts_with(&format!("Usage: {called} [options] INI {command}")), "{help}");
        // The first word chooses the program: with it, the file is read next.
        let output = Program::new([program, "/none.ini", command]).status(1).run();
        assert!(output.stderr.contains("/none.ini"), "{}", output.stderr);
    }
}

#[test]
fn version_is_the_same_everywhere() {
    let version = version();
    assert!(read("packaging/debian/changelog").starts_with(&format!("rlondiste ({version}-1) ")));
    let newest = read("CHANGELOG.md").lines().find_map(|line| line.strip_prefix("## ")).unwrap().to_owned();
    assert_eq!(newest.split(' ').next().unwrap(), version);
    for document in ["README.md", "docs/install.md"] {
        let text = read(document);
        assert!(text.contains(&format!("rlondiste_{version}-1_amd64.deb")), "{document}");
        assert!(text.contains(&format!("rlondiste-{version}-1.x86_64.rpm")), "{document}");
    }
}

#[test]
fn list_of_what_is_linked_has_the_crates_with_checksums_and_none_of_the_tests() {
    let list = || {
        let mut command = Command::new(root().join("packaging/crates.py"));
        run(command.arg("sbom").env("SOURCE_DATE_EPOCH", "1700000000"))
    };
    let text = list();
    assert_eq!(text, list());
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(document["metadata"]["component"]["version"], version().as_str());
    let components = document["components"].as_array().unwrap();
    let names: BTreeSet<&str> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    for wanted in ["tokio-postgres", "rustls", "ring"] {
        assert!(names.contains(wanted), "no {wanted}");
    }
    for unwanted in ["proptest", "criterion", "fail", "pretty_assertions"] {
        assert!(!names.contains(unwanted), "{unwanted} is of the tests");
    }
    for component in components {
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
}

#[test]
fn scripts_have_no_faults_that_shells_and_shellcheck_find() {
    let mut scripts: Vec<PathBuf> = Vec::new();
    for dir in ["packaging", "tests", "examples", "benches"] {
        collect(&root().join(dir), "sh", &mut scripts);
    }
    assert!(scripts.len() > 10, "{scripts:?}");
    let of_packages =
        ["debian/postinst", "debian/prerm", "debian/postrm"].map(|path| root().join("packaging").join(path));
    scripts.extend(of_packages);
    // Sourced scripts have no first line; those of the RPM get theirs from rpm.
    let is_posix =
        |path: &Path| ["packaging/debian", "packaging/rpm"].iter().any(|dir| path.starts_with(root().join(dir)));
    let has_shellcheck = is_installed("shellcheck");
    for script in scripts {
        let shell = if is_posix(&script) { "sh" } else { "bash" };
        run(Command::new(shell).arg("-n").arg(&script));
        if has_shellcheck {
            let mut command = Command::new("shellcheck");
            assert_eq!(
                run(command.args(["--external-sources", "--source-path=SCRIPTDIR", "--shell"]).arg(shell).arg(&script)),
                ""
            );
        }
    }
}
