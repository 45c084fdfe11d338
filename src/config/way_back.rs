//! The ini files of the two directions of a switchover: `shop.ini` and `shop-back.ini`.

use std::path::{Path, PathBuf};

/// What the name of the way back ends with.
const BACK: &str = "-back";

/// `shop.ini` makes `shop-back.ini`.
pub(crate) fn back_path(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}{BACK}.ini", stem(path)))
}

/// The file of the other direction: that of the way back, and `shop.ini` for `shop-back.ini`.
pub(crate) fn other_path(path: &Path) -> PathBuf {
    match stem(path).strip_suffix(BACK) {
        Some(home) => path.with_file_name(format!("{home}.ini")),
        None => back_path(path),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_direction_names_the_other_one() {
        let (home, back) = (Path::new("/etc/shop.ini"), Path::new("/etc/shop-back.ini"));
        assert_eq!(
            (back_path(home).as_path(), other_path(home).as_path(), other_path(back).as_path()),
            (back, back, home)
        );
    }
}
