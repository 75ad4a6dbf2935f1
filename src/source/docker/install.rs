//! Where an Idswyft is installed. Spec: `stack.md` §2.

use std::path::{Path, PathBuf};

use super::volume::UPLOADS_PLACE;

/// Where the stack's own scripts look, after the working directory and in this order.
const USUAL_PLACES: [&str; 2] = ["/root/idswyft-community", "/opt/idswyft"];
/// Names of compose files, in the order in which compose takes them.
const COMPOSE_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
/// Bytes of a compose file that are looked at.
const COMPOSE_FILE_LEN_MAX: u64 = 1 << 20;

/// Finds the first usual place with a compose file of Idswyft.
pub fn find_install(working_dir: &Path) -> Option<PathBuf> {
    let usual = USUAL_PLACES.iter().map(PathBuf::from);
    std::iter::once(working_dir.to_owned()).chain(usual).find(|dir| is_install(dir))
}

/// Tells whether a directory has a compose file that mounts the uploads where Idswyft has them.
pub fn is_install(dir: &Path) -> bool {
    COMPOSE_FILES.iter().any(|name| {
        let path = dir.join(name);
        let is_small = path.metadata().is_ok_and(|file| file.len() <= COMPOSE_FILE_LEN_MAX);
        is_small && std::fs::read_to_string(path).is_ok_and(|text| text.contains(UPLOADS_PLACE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_directory_comes_first_if_it_has_the_shape() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("docker-compose.yml"), "services: {}").unwrap();
        assert!(!is_install(dir.path()));
        let text = "services:\n  api:\n    volumes:\n      - uploads:/app/backend/uploads\n";
        std::fs::write(dir.path().join("docker-compose.yml"), text).unwrap();
        assert_eq!(find_install(dir.path()).as_deref(), Some(dir.path()));
    }
}
