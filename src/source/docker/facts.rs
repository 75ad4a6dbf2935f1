//! What a snapshot records of the stack, never a secret. Spec: `stack.md` §5.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::server::Server;
use super::volume::API_SERVICE;
use super::{Container, Docker, DockerError, Input, Stack, run};

/// Variables of the api that are no secrets and tell how to read the archive (S-2).
const TOLD_VARIABLES: [&str; 3] = ["DATA_RETENTION_DAYS", "STORAGE_ENCRYPTION", "STORAGE_PROVIDER"];
/// Where the application stores its files unless it is told.
const LOCAL_PROVIDER: &str = "local";
const MIGRATIONS_QUERY: &str =
    "SELECT coalesce(json_agg(name ORDER BY name COLLATE \"C\"), '[]') FROM _migrations";
const FILES_QUERY: &str = "SELECT (SELECT count(*) FROM documents WHERE file_path IS NOT NULL) \
    + (SELECT count(*) FROM selfies WHERE file_path IS NOT NULL)";

/// What is known of a stack.
#[derive(Debug, Clone, Default)]
pub struct StackFacts {
    /// What the snapshot records.
    pub object: Map<String, Value>,
    /// Where the application stores its files, if not in the volume.
    pub provider: Option<String>,
    /// How many rows name a file.
    pub file_row_count: Option<u64>,
}

impl StackFacts {
    /// Gathers what can be had; what cannot is null (S-13).
    pub fn gather(docker: &Docker, stack: &Stack, service: Option<&str>) -> Self {
        let server = service.and_then(|service| Server::running(docker, stack, service).ok());
        let ask = |sql: &str| server.as_ref().and_then(|server| server.query(sql).ok());
        let migrations = ask(MIGRATIONS_QUERY);
        let migrations =
            migrations.and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok());
        let api = stack.service(API_SERVICE).ok();
        let object = json!({
            "project": stack.project,
            "images": images(docker, &stack.containers),
            "server_version": ask("SHOW server_version"),
            "migrations": migrations,
            "git": stack.dir.as_deref().and_then(git),
            "environment": api.map(environment),
        });
        let provider = api.and_then(|api| api.variable("STORAGE_PROVIDER"));
        let provider = provider.map(|provider| provider.expose().to_owned());
        Self {
            object: Map::from_iter([("stack".to_owned(), object)]),
            provider: provider.filter(|provider| provider != LOCAL_PROVIDER),
            file_row_count: ask(FILES_QUERY).and_then(|count| count.parse().ok()),
        }
    }
}

fn environment(api: &Container) -> Value {
    let told = TOLD_VARIABLES.iter().map(|name| {
        let value = api.variable(name).map(|value| value.expose());
        ((*name).to_owned(), json!(value))
    });
    Value::Object(told.collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageJson {
    id: String,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
}

fn images(docker: &Docker, containers: &[Container]) -> Value {
    let mut ids: Vec<&str> = containers.iter().map(|it| it.image_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let words = [&["image", "inspect"], &ids[..]].concat();
    let described = docker.call(&words).ok();
    let described: Vec<ImageJson> = described
        .and_then(|answer| serde_json::from_slice(&answer.stdout).ok())
        .unwrap_or_default();
    let describe = |container: &Container| {
        let image = described.iter().find(|image| image.id == container.image_id);
        let digests = image.and_then(|image| image.repo_digests.clone());
        json!({"name": container.image, "id": container.image_id, "digests": digests})
    };
    let services =
        containers.iter().filter_map(|it| Some((it.service()?.to_owned(), describe(it))));
    Value::Object(services.collect())
}

/// Returns the commit of a checkout and whether its files differ from it.
fn git(dir: &Path) -> Option<Value> {
    // Somebody else's checkout may be looked at, but no program that its config names may be run;
    // looking for changes could do that, so git's own check of the owner stays.
    let trusted = format!("safe.directory={}", dir.display());
    let head = call_git(dir, &["-c", &trusted, "rev-parse", "--verify", "HEAD"]).ok()?;
    let changed = call_git(dir, &["status", "--porcelain", "--untracked-files=no"]).ok();
    Some(json!({"head": head, "dirty": changed.map(|changed| !changed.is_empty())}))
}

fn call_git(dir: &Path, arguments: &[&str]) -> Result<String, DockerError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(arguments);
    // A checkout further up is not that of the stack.
    if let Some(parent) = dir.parent() {
        command.env("GIT_CEILING_DIRECTORIES", parent);
    }
    command.env("GIT_OPTIONAL_LOCKS", "0").env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    Ok(run(command, Input::Nothing, super::PATIENCE)?.text())
}
