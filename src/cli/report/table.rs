//! Columns that line up.

use std::fmt;

use super::words::printable;

/// On which side of its column a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table with a head; a table without rows prints only its head.
#[derive(Debug, Clone)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with these columns.
    pub fn new(columns: &[(&str, Side)]) -> Self {
        let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { sides: columns.iter().map(|(_, side)| *side).collect(), rows: vec![head] }
    }

    /// Adds a row, with a value for every column.
    pub fn row<const N: usize>(&mut self, values: [String; N]) {
        debug_assert_eq!(N, self.sides.len());
        self.rows.push(values.iter().map(|value| printable(value)).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let values = self.rows.iter().filter_map(|row| row.get(column));
            values.map(|value| value.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((value, side), width) in row.iter().zip(&self.sides).zip(&widths) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                match side {
                    Side::Left => line.push_str(&format!("{value:<width$}")),
                    Side::Right => line.push_str(&format!("{value:>width$}")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let mut table =
            Table::new(&[("NAME", Side::Left), ("SIZE", Side::Right), ("", Side::Left)]);
        table.row(["größe".into(), "1 B".into(), String::new()]);
        table.row(["a".into(), "12.0 KiB".into(), "x\n".into()]);
        let text = table.to_string();
        assert_eq!(text, "NAME       SIZE\ngröße       1 B\na      12.0 KiB  x\\n\n");
    }
}
