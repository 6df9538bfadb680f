//! Text from files and programs on a terminal.

/// Returns false for a control character, a line separator or a character that changes the direction of text: none of them may
/// reach a terminal from a file.
pub fn is_printable(letter: char) -> bool {
    let is_direction = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !letter.is_control() && !is_direction
}
