//! The commands in `deploy/runbooks/*.md`, held against this command line: so that a runbook which names a verb or a flag
//! that is gone, or leaves out one that is needed, is found before somebody needs it at night.

use std::{collections::BTreeSet, fs, path::Path};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::Command;

/// Each command, with the runbook that it stands in.
fn commands() -> Vec<(String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/runbooks");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(file).unwrap();
        all.extend(scripts(&text).iter().flat_map(|line| of_line(line)).map(|words| (name.clone(), words)));
        all.extend(spans(&text).into_iter().flat_map(|span| of_line(&span)).map(|words| (name.clone(), words)));
    }
    all
}

/// The lines of the fenced pieces of shell, each with its continuations.
fn scripts(text: &str) -> Vec<String> {
    let (mut lines, mut inside, mut open) = (Vec::<String>::new(), false, false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            inside = line == "```sh";
            continue;
        }
        if !inside {
            continue;
        }
        let part = line.trim_end_matches('\\').trim_end();
        match lines.last_mut().filter(|_| open) {
            Some(last) => *last = format!("{last} {part}"),
            None => lines.push(part.to_owned()),
        }
        open = line.ends_with('\\');
    }
    lines
}

/// What stands between single backticks, outside of fences.
fn spans(text: &str) -> Vec<String> {
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    let prose = prose.join(" ").replace('\n', " ");
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Each call of `adplane` in a line: by itself, after `&&`, `|` or `;`, or within `$(...)`.
fn of_line(line: &str) -> Vec<Vec<String>> {
    let line = line.replace("$(", " ; ").replace(')', " ; ").replace("&&", ";").replace('|', ";");
    let parts = line.split(';').map(words);
    parts.filter(|words| words.first().is_some_and(|first| first == "adplane") && words.len() > 1).collect()
}

/// Words as a shell has them, as far as runbooks need it: blanks part them, quotes keep them together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut quote, mut fresh) = (Vec::<String>::new(), None, true);
    for letter in text.trim().chars() {
        match letter {
            '\'' | '"' if quote == Some(letter) => quote = None,
            '\'' | '"' if quote.is_none() => {
                quote = Some(letter);
                if fresh {
                    words.push(String::new());
                    fresh = false;
                }
            }
            ' ' if quote.is_none() => fresh = true,
            _ => match words.last_mut().filter(|_| !fresh) {
                Some(word) => word.push(letter),
                None => {
                    words.push(letter.to_string());
                    fresh = false;
                }
            },
        }
    }
    words
}

/// Whether this is a whole command; else what is wrong with it.
fn fault(words: &[String]) -> Option<String> {
    // The token comes from the environment there; a verb that takes none says so.
    let with_token = words.iter().cloned().chain(["--token".to_owned(), "a.b.c".to_owned()]);
    let parsed = match Command::try_parse_from(with_token) {
        Err(error) if error.kind() == ErrorKind::UnknownArgument => Command::try_parse_from(words),
        parsed => parsed,
    };
    parsed.err().map(|error| error.to_string())
}

/// In prose a verb may be named without what it needs.
fn is_known(words: &[String]) -> bool {
    let mut command = Command::command();
    let flags = words.iter().skip(1).filter(|word| word.starts_with('-'));
    let flags: BTreeSet<String> = flags.map(|flag| flag.trim_start_matches('-').to_owned()).collect();
    for word in words.iter().skip(1).take_while(|word| !word.starts_with('-')) {
        match command.find_subcommand(word) {
            Some(found) => command = found.clone(),
            None => return command.get_positionals().next().is_some(),
        }
    }
    flags.iter().all(|flag| command.get_arguments().any(|known| known.get_long() == Some(flag.as_str())))
}

#[test]
fn each_command_of_a_runbook_is_one() {
    let all = commands();
    assert!(all.len() > 12, "the runbooks have more commands than these: {all:?}");
    for (runbook, words) in all {
        let fault = fault(&words);
        assert!(fault.is_none() || is_known(&words), "{runbook}: {}\n{}", words.join(" "), fault.unwrap_or_default());
    }
}

#[test]
fn each_script_is_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/runbooks");
    for runbook in ["keys.md", "database-roles.md"] {
        for line in scripts(&fs::read_to_string(folder.join(runbook)).unwrap()) {
            for words in of_line(&line) {
                assert_eq!(fault(&words), None, "{runbook}: {line}");
            }
        }
    }
}

#[test]
fn a_command_that_is_none_is_found() {
    for (line, sound) in [
        ("adplane keys rotate wrapping --tenant acme", true),
        ("adplane keys seal --reason 'ticket 4711, ask Ada'", true),
        ("adplane keys seal", false),
        ("adplane keys rotate wraping", false),
        ("adplane keys turn wrapping", false),
        ("adplane keys status --loud", false),
        ("adplane migrate --config migrate.toml", true),
    ] {
        assert_eq!(fault(&of_line(line)[0]).is_none(), sound, "{line}");
    }
    assert!(!is_known(&words("adplane keys turn")) && !is_known(&words("adplane keys status --loud")));
    assert!(is_known(&words("adplane keys seal")) && is_known(&words("adplane connections import")));
    let both = of_line("export TOKEN=$(adplane token --caller \"$OPERATOR\" --secret-file f) && adplane keys list");
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both[0][3], "$OPERATOR");
}
