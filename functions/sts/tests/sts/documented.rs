//! `docs/OAUTH.md` names a test for each MUST: each of them must be there.

use std::path::Path;

#[test]
fn every_test_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/OAUTH.md")).unwrap();
    let mut named = 0;
    for (number, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with("| ")) {
        let mut in_line = 0;
        for name in line.split('`').skip(1).step_by(2) {
            let parts: Vec<&str> = name.split("::").collect();
            let [room, file, test] = parts[..] else { continue };
            let folder = match room {
                "sts" => "functions/sts/tests/sts",
                "authorizer" => "functions/authorizer/tests/authorizer",
                "token" => "shared/token/tests/token",
                _ => panic!("line {}: {name}", number + 1),
            };
            let path = root.join(folder).join(format!("{file}.rs"));
            let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
            let at = source.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{name} is not there"));
            let before = source.split_at(at).0.trim_end_matches("async ").trim_end_matches("pub ");
            assert!(
                before.trim_end().ends_with("test]") || before.contains("proptest!"),
                "{name} is no test"
            );
            in_line += 1;
        }
        let is_row = !line.starts_with("| MUST") && !line.starts_with("|--");
        assert!(in_line > 0 || !is_row, "line {} names no test: {line}", number + 1);
        named += in_line;
    }
    assert!(named > 100, "{named}");
    for rfc in [6749, 6750, 7009, 7517, 7519, 7523, 7662, 8414, 8693, 8705, 8725, 9068, 9449, 9700] {
        assert!(page.contains(&format!("\n## RFC {rfc}")), "RFC {rfc} has no part");
    }
}
