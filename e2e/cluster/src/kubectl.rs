//! kubectl, as an operator has it.

use std::io::Write;
use std::process::{Command, Stdio};
use tokio::task::spawn_blocking;

/// What kubectl says on standard output.
///
/// # Panics
/// It fails; says its words.
pub async fn kubectl(arguments: &[&str]) -> String {
    let shown = arguments.join(" ");
    run(arguments, None).await.unwrap_or_else(|error| panic!("kubectl {shown}: {error}"))
}

/// Applies `manifest` to `namespace`.
///
/// # Errors
/// kubectl's words, when it fails.
pub async fn apply(namespace: &str, manifest: &str) -> Result<String, String> {
    run(&["-n", namespace, "apply", "-f", "-"], Some(manifest)).await
}

async fn run(arguments: &[&str], input: Option<&str>) -> Result<String, String> {
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let input = input.map(str::to_owned);
    spawn_blocking(move || {
        let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        said(Command::new(program).args(arguments), input.as_deref())
    })
    .await
    .expect("the thread ends")
}

/// What a program says on standard output; all that it says if it fails.
pub(crate) fn said(command: &mut Command, input: Option<&str>) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    if let Some(input) = input {
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input.as_bytes()).expect("the program reads");
    }
    let output = child.wait_with_output().expect("the program ends");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(out.into_owned()) } else { Err(format!("{out}{err}")) }
}
