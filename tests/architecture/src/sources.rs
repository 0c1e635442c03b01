//! What stands in which source file, read as tokens: comments and test modules do not count, names in code and text in
//! strings do.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One source file of ours.
struct Source {
    /// From the root of the tree.
    path: String,
    names: Vec<String>,
    texts: Vec<String>,
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut files = Vec::new();
    for folder in folders {
        find(&root.join(folder), &mut files);
    }
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut source = Source { path, names: Vec::new(), texts: Vec::new() };
        source.read(tokens);
        source
    };
    files.into_iter().map(read).collect()
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(&mut self, tokens: TokenStream) {
        let mut is_attribute = false;
        let mut is_test = false;
        for token in tokens {
            match token {
                TokenTree::Group(group) if is_attribute && group.delimiter() == Delimiter::Bracket => {
                    let attribute = group.stream().to_string();
                    is_test |= attribute == "cfg (test)" || attribute == "test";
                    if !attribute.starts_with("doc ") {
                        self.read(group.stream());
                    }
                }
                TokenTree::Group(group) if is_test && group.delimiter() == Delimiter::Brace => is_test = false,
                TokenTree::Group(group) => self.read(group.stream()),
                TokenTree::Ident(ident) => self.names.push(ident.to_string()),
                TokenTree::Literal(literal) => self.texts.push(literal.to_string()),
                TokenTree::Punct(punct) => {
                    is_test &= punct.as_char() != ';';
                    is_attribute = punct.as_char() == '#' || (is_attribute && punct.as_char() == '!');
                    continue;
                }
            }
            is_attribute = false;
        }
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// `store.rs`, `store_requests.rs`, `store/requests.rs`.
    fn is_store(&self) -> bool {
        self.path.split('/').any(|part| part.starts_with("store"))
    }

    /// Tests look into tables to see what a store did.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }
}

fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let has = |word| words.contains(&word);
    let follows = |pair: [&str; 2]| words.windows(2).any(|window| window == pair);
    has("SELECT") || follows(["INSERT", "INTO"]) || follows(["DELETE", "FROM"]) || (has("UPDATE") && has("SET"))
}

fn paths<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<&'a str> {
    sources.map(|source| source.path.as_str()).collect()
}

#[test]
fn only_stores_hold_sql() {
    let sources = sources(&["services"]);
    let held = sources.iter().filter(|source| !source.is_store() && !source.is_test());
    let wrong = paths(held.filter(|source| source.texts.iter().any(|text| is_sql(text))));
    assert!(wrong.is_empty(), "SQL outside of a store file: {wrong:#?}");
}

/// Where one of Meta's words stands to be refused, not used.
const REFUSES: [&str; 1] = ["services/insights/src/query/measures.rs"];

#[test]
fn only_graph_and_the_sandbox_know_metas_words() {
    let sources = sources(&["services", "libs"]);
    let words = ["facebook.com", "access_token", "fb_exchange_token"];
    let elsewhere = sources.iter().filter(|source| !source.is_in(&["libs/graph/", "services/sandbox/"]));
    let knows = |source: &&Source| source.texts.iter().any(|text| words.iter().any(|word| text.contains(word)));
    let elsewhere = elsewhere.filter(|source| !source.is_test() && !source.is_in(&REFUSES));
    let wrong = paths(elsewhere.filter(knows));
    assert!(wrong.is_empty(), "Meta's words outside of libs/graph and services/sandbox: {wrong:#?}");
}

#[test]
fn nothing_is_unsafe() {
    let sources = sources(&["services", "libs", "tests"]);
    let wrong = paths(sources.iter().filter(|source| source.names.iter().any(|name| name == "unsafe")));
    assert!(wrong.is_empty(), "unsafe code: {wrong:#?}");
}

#[test]
fn only_fault_makes_a_status() {
    let sources = sources(&["services", "libs"]);
    let makers = ["with_error_details", "with_error_details_vec"];
    let makes = |source: &&Source| source.names.iter().any(|name| makers.contains(&name.as_str()));
    let elsewhere = sources.iter().filter(|source| !source.is_in(&["libs/rpc/src/fault"]));
    let wrong = paths(elsewhere.filter(makes));
    assert!(wrong.is_empty(), "a Status with details made outside of libs/rpc/src/fault.rs: {wrong:#?}");
}

#[test]
fn comments_and_test_modules_do_not_count() {
    let mut source = Source { path: String::new(), names: Vec::new(), texts: Vec::new() };
    let code = "/// SELECT\n#[expect(lint, reason = \"why\")] fn f() { g(\"text\") } #[cfg(test)] mod tests { h(\"test\") } \
                #[cfg(test)] mod others; const C: &str = \"last\";";
    source.read(code.parse().unwrap());
    assert_eq!(source.texts, ["\"why\"", "\"text\"", "\"last\""]);
    assert!(source.names.contains(&"g".to_owned()) && !source.names.contains(&"h".to_owned()));
}

#[test]
fn sql_is_told_from_prose() {
    for sql in ["SELECT id\n FROM t", "INSERT INTO t", "UPDATE t\n   SET a = 1", "DELETE FROM t"] {
        assert!(is_sql(sql), "{sql}");
    }
    for prose in ["select one", "UPDATE", "SETTLED", "delete from the list", "RESELECTED"] {
        assert!(!is_sql(prose), "{prose}");
    }
}
