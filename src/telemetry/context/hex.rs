//! Ids in hexadecimal digits.

/// What stands in a table for a byte that is no digit.
const NONE: u8 = 0xFF;

const LOWER: [u8; 256] = table(false);
const ANY: [u8; 256] = table(true);

const fn table(upper: bool) -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut digit = 0;
    while digit < 16 {
        let lower = b"0123456789abcdef"[digit as usize];
        table[lower as usize] = digit;
        if upper {
            table[lower.to_ascii_uppercase() as usize] = digit;
        }
        digit += 1;
    }
    table
}

/// The number that lower-case digits write, at most 16 of them. `None` if another byte is among them.
pub fn lower(digits: &[u8]) -> Option<u64> {
    number(digits, &LOWER)
}

/// As [`lower`], of digits in either case.
pub fn any(digits: &[u8]) -> Option<u64> {
    number(digits, &ANY)
}

fn number(digits: &[u8], table: &[u8; 256]) -> Option<u64> {
    // Without a branch per digit.
    let (number, seen) = digits.iter().fold((0, 0), |(number, seen), digit| {
        let digit = table[usize::from(*digit)];
        (number << 4 | u64::from(digit & 0xF), seen | digit)
    });
    (seen <= 0xF).then_some(number)
}

/// Two lower-case digits for each of the `bytes`; `D` is twice `B`.
pub fn digits<const B: usize, const D: usize>(bytes: &[u8; B]) -> [u8; D] {
    const { assert!(D == 2 * B) }
    let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
    let mut digits = [0; D];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xF)]);
    }
    digits
}
