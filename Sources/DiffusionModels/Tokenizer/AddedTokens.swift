/// A token that is looked for in the text itself, before any splitting into words: `<|endoftext|>`, a pad token, or
/// one that a fine-tuning added.
struct AddedToken: Sendable, Equatable {
    var content: String
    /// Taken only where no word character touches it.
    var singleWord = false
    /// Takes the white space before it along.
    var stripsLeft = false
    /// Takes the white space after it along.
    var stripsRight = false
    /// Looked for in the normalised text (and itself normalised), rather than in the text as written.
    var isNormalized: Bool
    var isSpecial: Bool
}

/// Finds added tokens in a text: those of one kind, all normalised or none.
struct AddedTokenMatcher: Sendable {
    enum Piece {
        case text(ArraySlice<SourcedScalar>)
        case token(id: Int32, origin: Int)
    }

    private struct Entry: Sendable {
        let id: Int32
        let pattern: [Unicode.Scalar]
        let token: AddedToken
    }

    /// By first scalar, the longest pattern first.
    private let entries: [Unicode.Scalar: [Entry]]

    init(_ tokens: [(token: AddedToken, id: Int32)], normalized: Bool) {
        var entries: [Unicode.Scalar: [Entry]] = [:]
        for (token, id) in tokens where token.isNormalized == normalized {
            let sourced = PromptNormalization.sourced(token.content)
            let pattern = (normalized ? PromptNormalization.normalize(sourced) : sourced).map(\.scalar)
            guard let first = pattern.first else { continue }
            entries[first, default: []].append(Entry(id: id, pattern: pattern, token: token))
        }
        self.entries = entries.mapValues { list in
            // A stable order: of equal patterns the first one given wins.
            list.enumerated().sorted {
                ($1.element.pattern.count, $0.offset) < ($0.element.pattern.count, $1.offset)
            }.map(\.element)
        }
    }

    /// `text` cut at the added tokens, leftmost and longest first.
    func split(_ text: [SourcedScalar]) -> [Piece] {
        guard !entries.isEmpty else { return text.isEmpty ? [] : [.text(text[...])] }
        var pieces: [Piece] = []
        var pending = 0
        var position = 0
        while position < text.count {
            guard let entry = match(in: text, at: position) else {
                position += 1
                continue
            }
            var start = position
            var end = position + entry.pattern.count
            position = end
            if entry.token.singleWord, touchesWord(start..<end, in: text) { continue }
            if entry.token.stripsLeft {
                while start > pending, text[start - 1].scalar.properties.isWhitespace { start -= 1 }
            }
            if entry.token.stripsRight {
                while end < text.count, text[end].scalar.properties.isWhitespace { end += 1 }
            }
            if pending < start { pieces.append(.text(text[pending..<start])) }
            pieces.append(.token(id: entry.id, origin: text[start].origin))
            pending = end
            position = max(position, end)
        }
        if pending < text.count { pieces.append(.text(text[pending...])) }
        return pieces
    }

    private func match(in text: [SourcedScalar], at position: Int) -> Entry? {
        entries[text[position].scalar]?.first { text[...].starts($0.pattern, at: position) }
    }

    private func touchesWord(_ range: Range<Int>, in text: [SourcedScalar]) -> Bool {
        (range.lowerBound > 0 && isWordCharacter(text[range.lowerBound - 1].scalar))
            || (range.upperBound < text.count && isWordCharacter(text[range.upperBound].scalar))
    }

    /// `\w` of UTS #18, annex C.
    private func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        if properties.isAlphabetic || properties.isJoinControl { return true }
        return switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
        default: false
        }
    }
}
