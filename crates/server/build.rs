//! Builds the server anew when the dashboard that it embeds was built anew.

fn main() {
    println!("cargo::rerun-if-changed=../../ui/dist");
}
