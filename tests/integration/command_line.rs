//! The program as it is typed: exit codes, what is said, and where it is said.

use std::path::Path;
use std::process::{Command, Output};

const VALID: &str = "\
listeners: [{ name: http, address: '127.0.0.1:0' }]
backends: [{ name: demo, endpoints: ['http://127.0.0.1:1'] }]
admin: { address: '' }
";

fn outrigger(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("OUTRIGGER_LOG")
        .output()
        .unwrap()
}

/// The exit code and standard error; nothing may be on standard output, which belongs to requests' lines.
fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = outrigger(folder, arguments);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn help_and_version_go_to_standard_output_and_end_with_0() {
    let folder = tempfile::tempdir().unwrap();
    for (argument, part) in [("--help", "Exit codes:"), ("--version", "outrigger ")] {
        let output = outrigger(folder.path(), &[argument]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(part));
    }
}

#[test]
fn an_unknown_command_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = refused(folder.path(), &["serve"]);
    assert_eq!(code, 2);
    assert!(said.contains("unrecognized subcommand 'serve'"), "{said}");
}

#[test]
fn a_misspelt_level_ends_with_2_and_names_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = refused(folder.path(), &["check", "x", "--log-level", "inof"]);
    assert_eq!(code, 2);
    assert!(said.starts_with("outrigger: --log-level: `inof`"), "{said}");
}

/// What a run says that cannot start, since its port is taken: enough to see what is logged.
fn log_of_a_run(variable: Option<&str>, arguments: &[&str]) -> (i32, String) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(folder.path().join("config.yaml"), VALID.replace("127.0.0.1:0", &address))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.arg("run").args(arguments).current_dir(folder.path()).env_remove("OUTRIGGER_LOG");
    if let Some(variable) = variable {
        command.env("OUTRIGGER_LOG", variable);
    }
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_environment_says_what_is_logged_unless_a_flag_does() {
    for (variable, flag, debug) in [
        (None, &[][..], false),
        (Some("debug"), &[][..], true),
        (Some(""), &[][..], false),
        (Some("debug"), &["--log-level", "error"][..], false),
        (Some("error"), &["--log-level", "debug"][..], true),
        // Of the flag's concern only: the variable is not even read.
        (Some("inof"), &["--log-level", "debug"][..], true),
    ] {
        let (code, said) = log_of_a_run(variable, flag);
        assert_eq!(code, 1, "{said}");
        assert_eq!(said.contains("DEBUG"), debug, "{variable:?} {flag:?}:\n{said}");
    }
}

#[test]
fn a_misspelt_level_in_the_environment_ends_with_2_and_names_the_variable() {
    let (code, said) = log_of_a_run(Some("inof"), &[]);
    assert_eq!(code, 2);
    assert!(said.starts_with("outrigger: OUTRIGGER_LOG: `inof`: `inof` is no level\n"), "{said}");
}

#[test]
fn run_without_a_configuration_ends_with_3_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = refused(folder.path(), &["run"]);
    assert_eq!(code, 3);
    assert!(said.contains("there is no config.yaml in "), "{said}");
    assert!(said.contains("--config FILE") && said.contains("outrigger demo"), "{said}");
}

#[test]
fn a_named_configuration_that_is_missing_or_invalid_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = refused(folder.path(), &["run", "--config", "none.yaml"]);
    assert_eq!(code, 3);
    assert!(said.contains("none.yaml does not exist") && said.contains("--config FILE"), "{said}");
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, VALID.replace("backends", "backend")).unwrap();
    let (code, said) = refused(folder.path(), &["run"]);
    assert_eq!(code, 3);
    let place = format!("\n{}:2:1: ", path.canonicalize().unwrap().display());
    assert!(said.contains(&place), "no line begins with the place:\n{said}");
}

/// R6: what is wrong with a file is known before it is live.
#[test]
fn check_tells_every_mistake_of_every_file_and_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("good.yaml"), VALID).unwrap();
    std::fs::write(path("bad.yaml"), VALID.replace("backends", "backend")).unwrap();
    let (code, said) = refused(folder.path(), &["check", "good.yaml", "bad.yaml", "none.yaml"]);
    assert_eq!(code, 3);
    assert!(said.contains("good.yaml: valid"), "{said}");
    assert!(said.contains("bad.yaml:2:1: ") && said.contains("did you mean `backends`"), "{said}");
    assert!(said.contains("none.yaml: cannot be read: No such file"), "{said}");
    let (code, said) = refused(folder.path(), &["check", "good.yaml"]);
    assert_eq!((code, said.as_str()), (0, "good.yaml: valid\n"));
}

#[test]
fn check_tells_programs_and_github_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let bad = VALID.replace("backends", "backend");
    std::fs::write(folder.path().join("bad.yaml"), bad).unwrap();
    let told = |format: &str| {
        let output = outrigger(folder.path(), &["check", "--format", format, "bad.yaml"]);
        assert_eq!(output.status.code(), Some(3));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "outrigger: 1 of 1 configurations cannot be used\n");
        String::from_utf8(output.stdout).unwrap()
    };
    let json: serde_json::Value = serde_json::from_str(&told("json")).unwrap();
    assert_eq!(json["files"][0]["valid"], false);
    let unknown = &json["problems"][1];
    assert_eq!((&unknown["line"], &unknown["path"]), (&2.into(), &"backend".into()));
    assert_eq!(unknown["suggestion"], "backends");
    let told = told("github");
    assert!(told.contains("\n::error file=bad.yaml,line=2,col=1,title=backend::"), "{told}");
}

#[test]
fn a_warning_ends_with_0_unless_it_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let warned = VALID.replace("127.0.0.1:0' }", "127.0.0.1:0', trustedProxies: ['::/0'] }");
    std::fs::write(folder.path().join("warned.yaml"), warned).unwrap();
    let (code, said) = refused(folder.path(), &["check", "warned.yaml"]);
    assert_eq!(code, 0);
    assert!(
        said.starts_with("warned.yaml:1:68: warning: listeners[0].trustedProxies[0]: "),
        "{said}"
    );
    assert!(said.ends_with("warned.yaml: valid, with 1 warning\n"), "{said}");
    let (code, said) = refused(folder.path(), &["check", "--deny-warnings", "warned.yaml"]);
    assert_eq!(code, 3);
    assert!(said.contains("which --deny-warnings does not allow"), "{said}");
}

#[test]
fn a_demo_that_cannot_write_its_file_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = refused(folder.path(), &["demo", "--config", "none/config.yaml"]);
    assert_eq!(code, 3);
    assert!(
        said.contains("none/config.yaml: cannot be written") && said.contains("--config FILE"),
        "{said}"
    );
}

#[test]
fn the_schema_goes_to_standard_output_as_it_is_in_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let output = outrigger(folder.path(), &["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let stored = include_str!("../../docs/outrigger.schema.json");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), stored);
}

fn told(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = outrigger(folder, arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn diff_ends_with_0_for_the_same_1_for_another_and_3_for_an_invalid_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("old.yaml", VALID);
    write("same.yaml", &format!("# A comment.\n{VALID}"));
    write("new.yaml", &VALID.replace(":1'", ":2'"));
    write("bad.yaml", &VALID.replace("backends", "backend"));
    let diff = |new| told(folder.path(), &["diff", "old.yaml", new]);
    assert_eq!(diff("same.yaml"), (0, "no change\n".to_owned()));
    let expected = "\
backend demo: endpoint http://127.0.0.1:1 removed, drains for up to 30s
backend demo: endpoint http://127.0.0.1:2 added
";
    assert_eq!(diff("new.yaml"), (1, expected.to_owned()));
    for (new, code, part) in
        [("bad.yaml", 3, "did you mean `backends`"), ("none.yaml", 3, "No such file")]
    {
        let (ended, said) = refused(folder.path(), &["diff", "old.yaml", new]);
        assert!(ended == code && said.contains(part), "{ended}: {said}");
    }
    assert_eq!(refused(folder.path(), &["diff", "-", "-"]).0, 2);
}

#[test]
fn explain_and_routes_tell_of_the_file_in_the_present_folder() {
    let folder = tempfile::tempdir().unwrap();
    let routes = "routes: [{ name: shop, hosts: [shop.example.com], backends: [demo] }]\n";
    std::fs::write(folder.path().join("config.yaml"), format!("{VALID}{routes}")).unwrap();
    let explain = |url| told(folder.path(), &["explain", "--url", url]);
    let (code, text) = explain("http://shop.example.com/x");
    assert!(code == 0 && text.contains("shop") && text.contains("http://127.0.0.1:1"), "{text}");
    let (code, text) = explain("http://example.com/x");
    assert!(code == 1 && text.contains("404 Not Found"), "{text}");
    let line = ["explain", "--url", "http://shop.example.com/x", "--format", "json"];
    let (_, text) = told(folder.path(), &line);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["route"], "shop");
    let (code, text) = told(folder.path(), &["routes"]);
    assert!(code == 0 && text.lines().count() == 2 && text.contains("shop.example.com"), "{text}");
    let (code, said) = refused(folder.path(), &["explain", "--url", "shop"]);
    assert!(code == 2 && said.contains("such as http://"), "{said}");
}

#[test]
fn init_writes_a_file_that_check_finds_valid_and_never_writes_over_one() {
    let folder = tempfile::tempdir().unwrap();
    for purpose in ["plain", "sidecar", "ingress"] {
        let (code, text) = told(folder.path(), &["init", purpose]);
        assert_eq!(code, 0);
        let file = format!("{purpose}.yaml");
        assert_eq!(refused(folder.path(), &["init", purpose, "--output", &file]).0, 0);
        let path = folder.path().join(&file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let (code, said) = refused(folder.path(), &["check", "--deny-warnings", &file]);
        assert_eq!((code, said), (0, format!("{file}: valid\n")));
        std::fs::write(&path, "mine").unwrap();
        let (code, said) = refused(folder.path(), &["init", purpose, "--output", &file]);
        assert!(code == 1 && said.contains("exists already"), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}

#[test]
fn every_shell_gets_completions_and_bash_understands_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script) = told(folder.path(), &["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("explain") && script.contains("client-address"), "{shell}");
        if shell == "bash" {
            let path = folder.path().join("completions");
            std::fs::write(&path, script).unwrap();
            if let Ok(output) = Command::new("bash").arg("-n").arg(&path).output() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{said}");
            }
        }
    }
}

#[test]
fn the_manual_has_every_command_on_one_page_or_on_a_page_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (code, page) = told(folder.path(), &["man"]);
    assert_eq!(code, 0);
    for part in [".TH outrigger 1", ".SH OUTRIGGER EXPLAIN", "client\\-address", "Exit codes:"] {
        assert!(page.contains(part), "{part} is missing in:\n{page}");
    }
    assert_eq!(refused(folder.path(), &["man", "--output", "pages"]).0, 0);
    for page in ["outrigger.1", "outrigger-run.1", "outrigger-diff.1"] {
        let path = folder.path().join("pages").join(page);
        assert!(std::fs::read_to_string(&path).unwrap().contains(".TH"), "{page}");
    }
}
