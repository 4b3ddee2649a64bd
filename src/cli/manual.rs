//! `outrigger completions` and `outrigger man`: what shells and `man` want to know of the command line.

use super::exit::{Failure, Reason};
use super::say;
use super::source::print;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(clap::Args, Debug)]
pub(super) struct ManArguments {
    /// Write a page for each command into this folder, instead of one page to standard output
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Prints the completions of `command`.
pub(super) fn completions(
    arguments: &CompletionsArguments,
    mut command: Command,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "outrigger", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints or writes the manual of `command`.
pub(super) fn man(arguments: &ManArguments, command: Command) -> Result<(), Failure> {
    match &arguments.output {
        None => {
            let page = page(command).map_err(|error| Failure::new(Reason::Runtime, error))?;
            print(&page)
        }
        Some(folder) => {
            let name = folder.display();
            let written = std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder));
            written.map_err(|error| {
                Failure::new(Reason::Runtime, format_args!("{name}: cannot be written: {error}"))
            })?;
            say(format_args!("{name}: written; read with `man {name}/outrigger.1`"));
            Ok(())
        }
    }
}

/// One page in roff for the program and all its commands.
fn page(mut command: Command) -> io::Result<String> {
    command.build();
    let commands: Vec<_> =
        command.get_subcommands().filter(|one| one.get_name() != "help").cloned().collect();
    let whole = Man::new(command);
    let mut page = Vec::new();
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    for command in commands {
        page.extend(format!(".SH OUTRIGGER {}\n", command.get_name().to_uppercase()).into_bytes());
        // What every command takes has been told once.
        let told = |argument: clap::Arg| {
            let again = argument.is_global_set() || argument.get_id() == "help";
            argument.hide(again)
        };
        let command = Man::new(command.mut_args(told));
        let mut part = Vec::new();
        command.render_synopsis_section(&mut part)?;
        command.render_description_section(&mut part)?;
        command.render_options_section(&mut part)?;
        // The sections of a command are parts of its own.
        page.extend(String::from_utf8_lossy(&part).replace(".SH ", ".SS ").into_bytes());
    }
    let mut notes = Vec::new();
    whole.render_extra_section(&mut notes)?;
    // Its lines are set as they should be read.
    let notes = String::from_utf8_lossy(&notes).replace(".SH EXTRA\n", ".SH NOTES\n.nf\n");
    page.extend(notes.into_bytes());
    page.extend(b".fi\n");
    whole.render_version_section(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
