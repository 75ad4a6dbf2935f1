//! A real compose stack: found, read, and archived by the real program.

mod apply;
pub mod support;

use support::Stack;

#[test]
fn the_stack_of_the_tests_is_shaped_like_the_real_one() {
    let Some(stack) = Stack::up_with_real_name() else { return };
    assert_eq!(stack.volume_name("uploads"), "idswyft-community_uploads");
    assert_eq!(stack.psql("SELECT current_user"), "idswyft\n");
    stack.load();
    stack.stub(["write", "a.jpg"]);
    stack.stub(["read", "a.jpg"]);
    let written = stack.volume_path("uploads").join("documents/a.jpg");
    assert_eq!(written.metadata().unwrap().len(), 20_000);
    stack.wait_until_healthy("api");
}
