/// Splits normalised text into the words that byte-pair encoding works on.
///
/// CLIP's pattern, alternatives in order: `<|startoftext|>`, `<|endoftext|>`, an English contraction (`'s`, `'t`,
/// `'re`, `'ve`, `'m`, `'ll`, `'d`), a run of letters, one digit, a run of anything else but white space. The reference
/// then splits by GPT-2's pattern, which takes only the first two apart again: `<|`, `startoftext`, `|>`.
enum PromptWords {
    private enum Class { case space, letter, number, other }

    /// The Unicode version of the reference's regular expressions; what came later is neither letter nor number there.
    private static let patternVersion = 16

    private static let markers = ["startoftext", "endoftext"].map {
        (opening: Array("<|".unicodeScalars), name: Array($0.unicodeScalars), closing: Array("|>".unicodeScalars))
    }
    private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { Array($0.unicodeScalars) }

    /// The words as ranges of `text`'s indices, in order.
    static func split(_ text: ArraySlice<SourcedScalar>) -> [Range<Int>] {
        var words: [Range<Int>] = []
        var position = text.startIndex
        while position < text.endIndex {
            if let lengths = fixedWords(in: text, at: position) {
                for length in lengths {
                    words.append(position..<position + length)
                    position += length
                }
                continue
            }
            let start = position
            let kind = classify(text[position].scalar)
            position += 1
            switch kind {
            case .space: continue
            case .number: break
            case .letter, .other:
                while position < text.endIndex, classify(text[position].scalar) == kind { position += 1 }
            }
            words.append(start..<position)
        }
        return words
    }

    /// The lengths of the words that a marker or a contraction at `position` makes, nil if there is none.
    private static func fixedWords(in text: ArraySlice<SourcedScalar>, at position: Int) -> [Int]? {
        switch text[position].scalar {
        case "<":
            for marker in markers
            where text.starts(marker.opening + marker.name + marker.closing, at: position) {
                return [marker.opening.count, marker.name.count, marker.closing.count]
            }
            return nil
        case "'":
            return contractions.first { text.starts($0, at: position) }.map { [$0.count] }
        default:
            return nil
        }
    }

    private static func classify(_ scalar: Unicode.Scalar) -> Class {
        let properties = scalar.properties
        if properties.isWhitespace { return .space }
        guard let age = properties.age, age.major <= patternVersion else { return .other }
        return switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: .letter
        case .decimalNumber, .letterNumber, .otherNumber: .number
        default: .other
        }
    }
}

extension ArraySlice<SourcedScalar> {
    /// Whether `pattern` is at `position`, before the end of the slice.
    func starts(_ pattern: [Unicode.Scalar], at position: Int) -> Bool {
        guard endIndex - position >= pattern.count else { return false }
        return pattern.indices.allSatisfy { self[position + $0].scalar == pattern[$0] }
    }
}
