//! The program as it is typed: exit codes, what is said, and where it is said.

use super::pki;
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
    let folder = tempfile::tempdir().unwrap();
    log_of_a_run_in(&folder, VALID, variable, arguments)
}

fn log_of_a_run_in(
    folder: &tempfile::TempDir,
    config: &str,
    variable: Option<&str>,
    arguments: &[&str],
) -> (i32, String) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(folder.path().join("config.yaml"), config.replace("127.0.0.1:0", &address))
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

/// A file whose listener has this certificate and key, and what else is said of its TLS, in a folder with both.
fn with_tls(folder: &Path, cert: &str, key: &str, more: &str) -> String {
    for name in [cert, key, "ca.crt"] {
        if let Ok(content) = pki::read(Path::new(name)) {
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
    let tls = format!("tls: {{ certificates: [{{ certFile: {cert}, keyFile: {key} }}]{more} }}");
    VALID.replace("127.0.0.1:0' }", &format!("127.0.0.1:0', {tls} }}"))
}

/// T2: the place of the path, the path and the reason, for every way in which a file can be wrong.
#[test]
fn check_names_the_file_and_the_reason_when_a_certificate_cannot_be_used() {
    let auth = |ca: &str| format!(", clientAuth: {{ caFile: {ca} }}");
    for (cert, key, more, path, reason) in [
        ("old.crt", "a.key", "", "certificates[0].certFile: old.crt: ", "expired at 2026-05-01T"),
        ("half.crt", "a.key", "", "certificates[0].certFile: half.crt: ", ""),
        ("empty.crt", "a.key", "", "certificates[0].certFile: empty.crt: ", "it is empty"),
        ("missing.crt", "a.key", "", "certificates[0].certFile: missing.crt: ", "no such file"),
        ("a.crt", "other.key", "", "certificates[0].keyFile: other.key: ", "a.crt"),
        ("a.crt", "half.key", "", "certificates[0].keyFile: half.key: ", ""),
        ("a.crt", "a.key", &auth("none.crt"), "clientAuth.caFile: none.crt: ", "no such file"),
        ("a.crt", "a.key", &auth("a.key"), "clientAuth.caFile: a.key: ", ""),
        ("a.crt", "a.key", &auth("."), "clientAuth.caFile: .: ", "it is a folder"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = with_tls(folder.path(), cert, key, more);
        std::fs::write(folder.path().join("config.yaml"), text).unwrap();
        let (code, said) = refused(folder.path(), &["check", "config.yaml"]);
        assert_eq!(code, 3, "{said}");
        let line = said.lines().next().unwrap();
        assert!(line.starts_with("config.yaml:1:"), "{said}");
        assert!(line.contains(path) && line.contains(reason), "{said}\nnot {path}… {reason}");
        assert_eq!(said.lines().count(), 2, "one problem and the summary:\n{said}");
    }
}

#[test]
fn check_finds_good_certificates_valid_wherever_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_tls(folder.path(), "a.crt", "a.key", ", clientAuth: { caFile: ca.crt }");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    let valid = (0, "config.yaml: valid\n".to_owned());
    assert_eq!(refused(folder.path(), &["check", "--deny-warnings", "config.yaml"]), valid);
    let file = file.to_str().unwrap();
    assert_eq!(refused(Path::new("/"), &["check", file]), (0, format!("{file}: valid\n")));
}

/// An old certificate is a reason for a warning at the start, another key is a reason not to start.
#[test]
fn a_run_warns_of_an_expired_certificate_and_ends_with_3_for_one_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_tls(folder.path(), "old.crt", "a.key", "");
    let (code, said) = log_of_a_run_in(&folder, &text, None, &[]);
    // The port is taken.
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("/old.crt: the certificate expired at 2026-05-01T00:00:00Z"), "{said}");
    let text = with_tls(folder.path(), "a.crt", "other.key", "");
    let (code, said) = log_of_a_run_in(&folder, &text, None, &[]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("/other.key: "), "{said}");
}

#[test]
fn diff_tells_of_a_renewed_certificate() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("old", "old.crt"), ("new", "a.crt")] {
        let part = folder.path().join(name);
        std::fs::create_dir(&part).unwrap();
        let text = with_tls(&part, "a.crt", "a.key", "");
        std::fs::write(part.join("config.yaml"), text).unwrap();
        std::fs::write(part.join("a.crt"), pki::read(Path::new(content)).unwrap()).unwrap();
    }
    let expected = "listener http: certificate a.crt renewed, valid until 2040-01-01\n";
    let diff = ["diff", "old/config.yaml", "new/config.yaml"];
    assert_eq!(told(folder.path(), &diff), (1, expected.to_owned()));
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
