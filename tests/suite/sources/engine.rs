//! Engines that hang or lie, and clients that are too old: each is said, and none is waited for.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::source::StreamSource;
use idswyft_vault::source::docker::{ComposeSource, Docker, Selector, Stack, VolumeStream};
use idswyft_vault::source::postgres::LocalSource;
use tempfile::TempDir;

fn program(script: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    (dir, path)
}

/// S-1
#[test]
fn an_engine_that_hangs_fails_the_source_when_its_time_is_over() {
    let (_dir, path) = program("sleep 600 & sleep 600");
    let docker = Docker::of(&path).with_patience(Duration::from_millis(200));
    let selector = Selector { dir: Some("/opt/idswyft".into()), project: None };
    let database = ComposeSource::new(docker.clone(), selector, "postgres".to_owned());
    let uploads = VolumeStream::new(docker, "uploads".to_owned(), "image".to_owned());
    let sources: [&dyn StreamSource; 2] = [&database, &uploads];
    for source in sources {
        let began = Instant::now();
        let error = source.open().err().expect("the engine hangs");
        assert_eq!(error.code(), Code::DockerUnavailable);
        assert!(error.to_string().contains("no answer within"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn a_pg_dump_older_than_its_server_is_told_from_other_failures() {
    let said = "pg_dump: error: aborting because of server version mismatch";
    for (script, is_too_old) in [(said, true), ("pg_dump: error: connection refused", false)] {
        let (_dir, path) = program(&format!("echo '{script}' >&2; exit 1"));
        let source = LocalSource::new("postgresql:///idswyft").unwrap().with_pg_dump(path);
        let mut stream = source.open().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        let error = stream.finish().unwrap_err();
        assert_eq!(error.code(), Code::SourceFailed);
        let told = error.to_string().contains("newer than this host's pg_dump");
        assert_eq!(told, is_too_old, "{error}");
    }
}

#[test]
fn a_container_that_goes_while_the_stack_is_sought_is_not_missed() {
    let (_dir, path) = program(
        "case \"$1 $*\" in\n\
         ps*) echo mine; [ -e \"$0.went\" ] || echo gone;;\n\
         *gone*) touch \"$0.went\"; echo 'Error: No such container: gone' >&2; exit 1;;\n\
         container*) echo '[{\"Id\":\"mine\",\"Name\":\"/p_api_1\",\"State\":{\"Status\":\"running\"},\
         \"Config\":{\"Labels\":{\"com.docker.compose.project\":\"p\",\
         \"com.docker.compose.service\":\"api\"}}}]';;\n\
         esac",
    );
    let selector = Selector { dir: None, project: Some("p".to_owned()) };
    let stack = Stack::find(&Docker::of(&path), &selector).unwrap();
    assert_eq!(stack.service("api").unwrap().name, "p_api_1");
    assert_eq!(stack.containers.len(), 1);
}
