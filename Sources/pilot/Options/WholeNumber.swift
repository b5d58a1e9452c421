import ArgumentParser

/// Reads the whole numbers of a range, for an option: whoever is outside hears of the range, whatever was written.
func whole<Number: FixedWidthInteger & Sendable>(
    _ range: ClosedRange<Number>, or alternative: String? = nil
) -> @Sendable (String) throws -> Number {
    { text in
        guard let number = Number(text), range.contains(number) else {
            let other = alternative.map { ", or \($0)" } ?? ""
            throw ValidationError("a whole number from \(range.lowerBound) to \(range.upperBound)\(other)")
        }
        return number
    }
}

/// `--seed 7` or `--seed random`
enum SeedOption {
    case number(UInt64)
    /// One that nobody chose.
    case random

    /// - Throws: `ValidationError` that tells what is expected.
    @Sendable static func read(_ text: String) throws -> SeedOption {
        let word = "random"
        return text == word ? .random : .number(try whole(0...UInt64.max, or: word)(text))
    }
}
