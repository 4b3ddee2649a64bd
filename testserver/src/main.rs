//! The test servers as a program.
fn main() {}
