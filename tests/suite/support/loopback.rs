//! An ext4 of its own in a file: it can fail as disks do, and lose power as machines do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in a file, mounted until it goes out of scope.
pub struct Loop {
    path: PathBuf,
    image: PathBuf,
}

impl Loop {
    /// Mounts an empty one on a new directory; nothing where that is not allowed, which CI may
    /// not be. Nothing is written to its image but what is synced: it commits every five minutes.
    #[expect(clippy::print_stdout, reason = "a test that does not run says why")]
    pub fn mount(path: &Path, len: u64) -> Option<Self> {
        let image = path.with_extension("ext4");
        fs::File::create(&image).unwrap().set_len(len).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).output();
        let made = made.is_ok_and(|output| output.status.success());
        fs::create_dir(path).unwrap();
        let this = Self { path: path.to_owned(), image };
        let mounted = made && this.try_mount();
        assert!(mounted || std::env::var_os("CI").is_none(), "CI must let this test mount an ext4");
        if !mounted {
            println!("not run: no loop device can be mounted here, which needs root");
            // There is nothing to unmount.
            std::mem::forget(this);
            return None;
        }
        Some(this)
    }

    /// Returns the shell command after which the kernel refuses every write, as after an I/O error
    /// of the journal; no open file keeps it from that.
    pub fn read_only_command(&self) -> String {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let line = lines.find(|line| Path::new(line[1]) == self.path).unwrap();
        let device = Path::new(line[0]).file_name().unwrap().to_str().unwrap();
        format!("echo 1 > /sys/fs/ext4/{device}/trigger_fs_error")
    }

    /// Does what an operator does after such an error: unmounts, checks, mounts again.
    pub fn repair(&self) {
        run("umount", &[&self.path]);
        // 1: errors were corrected.
        let checked = Command::new("fsck.ext4").arg("-p").arg(&self.image).output().unwrap();
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
        assert!(self.try_mount());
    }

    /// Cuts the power and turns it on again: what was not written to the disk is lost.
    pub fn cut_power(&self) {
        let cut = self.image.with_extension("cut");
        fs::copy(&self.image, &cut).unwrap();
        run("umount", &[&self.path]);
        fs::rename(&cut, &self.image).unwrap();
        assert!(self.try_mount());
    }

    fn try_mount(&self) -> bool {
        let mounted = Command::new("mount")
            .args(["-o", "loop,commit=300,errors=remount-ro"])
            .args([&self.image, &self.path])
            .output();
        mounted.is_ok_and(|output| output.status.success())
    }
}

fn run(program: &str, arguments: &[&Path]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("umount", &[&self.path]);
    }
}
