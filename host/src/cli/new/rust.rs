//! The SDK for Rust, taken out of this workspace.

use toml::{Table, Value};

use super::sdk::{self, Embedded};

/// The folder of the contract in a project's copy of the SDK.
const WIT: &str = "wit";

/// Its files, with what they have from the workspace put into them.
pub(super) fn sdk() -> Result<Vec<(String, String)>, toml::de::Error> {
    let workspace: Table = toml::from_str(sdk::WORKSPACE)?;
    let mut files = Vec::new();
    for (path, text) in sdk::RUST {
        let mut text = match *path {
            "Cargo.toml" => manifest(text, &workspace, &[("bulkhead-sdk-macros", "macros")])?,
            "macros/Cargo.toml" => manifest(text, &workspace, &[])?,
            _ => (*text).to_owned(),
        };
        // The contract is beside the crate there, and within it here.
        for (folder, contract) in sdk::WIT {
            let outside = format!("path: \"{folder}\"");
            if text.contains(&outside) {
                text = text.replace(&outside, &format!("path: \"{WIT}\""));
                let inside =
                    |(path, text): &Embedded| (format!("{WIT}/{path}"), (*text).to_owned());
                files.extend(contract.iter().map(inside));
            }
        }
        files.push(((*path).to_owned(), text));
    }
    Ok(files)
}

/// A package's manifest without inheritance. `paths` are where the packages of the
/// workspace that it depends on are from here.
fn manifest(
    text: &str,
    workspace: &Table,
    paths: &[(&str, &str)],
) -> Result<String, toml::de::Error> {
    let mut manifest: Table = toml::from_str(text)?;
    let inherited = |key: &str| workspace.get("workspace")?.get(key)?.as_table();
    if let Some(package) = manifest.get_mut("package").and_then(Value::as_table_mut) {
        for (key, value) in package {
            if is_inherited(value)
                && let Some(theirs) = inherited("package").and_then(|theirs| theirs.get(key))
            {
                *value = theirs.clone();
            }
        }
    }
    if let Some(dependencies) = manifest.get_mut("dependencies").and_then(Value::as_table_mut) {
        for (name, value) in dependencies {
            let own = paths.iter().find(|(package, _)| package == name);
            if let Some((_, path)) = own {
                *value = Table::from_iter([("path".to_owned(), Value::from(*path))]).into();
            } else if is_inherited(value)
                && let Some(theirs) = inherited("dependencies").and_then(|all| all.get(name))
            {
                *value = theirs.clone();
            }
        }
    }
    manifest.remove("lints");
    Ok(manifest.to_string())
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_of_the_workspace_is_left_out() {
        let files = super::sdk().unwrap();
        for (path, text) in &files {
            let manifest = path.ends_with("Cargo.toml");
            assert!(!manifest || !text.contains("workspace"), "{path}: {text}");
            assert!(!text.contains("\"../wit"), "{path}");
        }
        let has = |wanted: &str| files.iter().any(|(path, _)| path == wanted);
        assert!(has("wit/tools.wit") && has("macros/src/lib.rs"));
    }
}
