import Failures

/// Goes through a prompt once, as the web UI's regular expression does.
struct PromptParser {
    private static let round = 1.1
    private static let square = 1 / 1.1
    /// 1.1 to this power is beyond what a number can be.
    private static let deepest = 1000

    private struct Part {
        /// nil for the end of a chunk.
        var text: String.UnicodeScalarView?
        var weight = 1.0
    }

    private struct Bracket {
        let isRound: Bool
        /// The first part that is inside.
        let start: Int
        var hasBar = false
    }

    private let scalars: [Unicode.Scalar]
    private let option: String
    private var position = 0
    private var parts: [Part] = []
    private var open: [Bracket] = []
    /// Whether a backslash is before `position` that stands before no bracket.
    private var isEscaped = false

    init(_ prompt: String, _ option: String) {
        scalars = Array(prompt.unicodeScalars)
        self.option = option
    }

    mutating func fragments() throws -> [PromptFragment] {
        while position < scalars.count { try readNext() }
        // What is open reaches to the end, round brackets first.
        for bracket in open.filter(\.isRound) + open.filter({ !$0.isRound }) {
            multiply(from: bracket.start, by: bracket.isRound ? Self.round : Self.square)
        }
        return try merged()
    }

    private mutating func readNext() throws {
        let wasEscaped = isEscaped
        isEscaped = false
        switch scalars[position] {
        case "\\": readBackslash()
        case "(", "[": try openBracket()
        case ")": try close(isRound: true)
        case "]": try close(isRound: false)
        case ":": try readColon(isEscaped: wasEscaped)
        default: try readText(isEscaped: wasEscaped)
        }
    }

    private mutating func readBackslash() {
        position += 1
        guard position < scalars.count, "()[]\\".unicodeScalars.contains(scalars[position]) else {
            isEscaped = true
            return
        }
        parts.append(Part(text: String.UnicodeScalarView([scalars[position]])))
        position += 1
    }

    private mutating func openBracket() throws {
        guard open.count < Self.deepest else {
            throw refusal("has more than \(Self.deepest) brackets inside each other")
        }
        open.append(Bracket(isRound: scalars[position] == "(", start: parts.count))
        position += 1
    }

    /// A closing bracket that closes nothing is text.
    private mutating func close(isRound: Bool, weight: Double? = nil) throws {
        guard let index = open.lastIndex(where: { $0.isRound == isRound }) else {
            return try readText(isEscaped: false)
        }
        let bracket = open.remove(at: index)
        guard isRound || !bracket.hasBar else {
            throw refusal("has words that take turns, [a|b], which are not known here")
        }
        multiply(from: bracket.start, by: weight ?? (isRound ? Self.round : Self.square))
        position += 1
    }

    /// `:1.3)` ends a round bracket; `:0.5]` ends the web UI's words for a part of the steps.
    private mutating func readColon(isEscaped: Bool) throws {
        var end = position + 1
        func skipSpace() { while end < scalars.count, scalars[end].properties.isWhitespace { end += 1 } }
        func isDigit(_ index: Int) -> Bool { index < scalars.count && ("0"..."9").contains(scalars[index]) }
        skipSpace()
        let start = end
        if end < scalars.count, "+-".unicodeScalars.contains(scalars[end]) { end += 1 }
        let first = end
        while isDigit(end) || (end < scalars.count && scalars[end] == ".") { end += 1 }
        guard end > first else { return try readText(isEscaped: isEscaped) }
        let number = String(String.UnicodeScalarView(scalars[start..<end]))
        skipSpace()
        if end < scalars.count, scalars[end] == ")", open.contains(where: \.isRound) {
            guard let weight = Double(number), weight.isFinite else {
                throw refusal("has the weight \(quoted(number)), which is no number")
            }
            position = end
            return try close(isRound: true, weight: weight)
        }
        // Here an exponent may follow.
        if end < scalars.count, "eE".unicodeScalars.contains(scalars[end]) {
            end += 1
            if end < scalars.count, "+-".unicodeScalars.contains(scalars[end]) { end += 1 }
            while isDigit(end) { end += 1 }
            skipSpace()
        }
        if !isEscaped, end < scalars.count, scalars[end] == "]", open.contains(where: { !$0.isRound }) {
            throw refusal("has words for a part of the steps, [a:b:0.5], which are not known here")
        }
        try readText(isEscaped: isEscaped)
    }

    /// A character that means nothing here, and what follows up to the next that may mean something.
    private mutating func readText(isEscaped: Bool) throws {
        let start = position
        position += 1
        if !"()[]:\\".unicodeScalars.contains(scalars[start]) {
            while position < scalars.count, !"()[]:\\".unicodeScalars.contains(scalars[position]) { position += 1 }
        }
        let text = Array(scalars[start..<position])
        guard text.ranges(ofWord: "AND").isEmpty else {
            throw refusal("has the word AND, which joins several prompts in the web UI, and does not here")
        }
        if text.dropFirst(isEscaped ? 1 : 0).contains("|"), !open.isEmpty { open[open.count - 1].hasBar = true }
        append(text)
    }

    /// The text in parts, with an end of a chunk for each `BREAK`, which takes the white space around it along.
    private mutating func append(_ text: [Unicode.Scalar]) {
        var start = 0
        for word in text.ranges(ofWord: "BREAK") {
            var end = word.lowerBound
            while end > start, text[end - 1].properties.isWhitespace { end -= 1 }
            parts.append(Part(text: String.UnicodeScalarView(text[start..<end])))
            parts.append(Part(text: nil))
            start = word.upperBound
            while start < text.count, text[start].properties.isWhitespace { start += 1 }
        }
        parts.append(Part(text: String.UnicodeScalarView(text[start...])))
    }

    private mutating func multiply(from start: Int, by weight: Double) {
        for index in start..<max(start, parts.count) { parts[index].weight *= weight }
    }

    /// Neighbours of one weight become one fragment.
    private func merged() throws -> [PromptFragment] {
        var merged: [Part] = []
        for part in parts {
            guard part.weight.magnitude <= Double(Float.greatestFiniteMagnitude) else {
                throw refusal("has weights whose product is too large for a number")
            }
            let last = merged.count - 1
            if let text = part.text, last >= 0, merged[last].text != nil, merged[last].weight == part.weight {
                // In place: a long prompt may be of very many parts.
                merged[last].text?.append(contentsOf: text)
            } else {
                merged.append(part)
            }
        }
        return merged.map { part in part.text.map { .text(String($0), weight: part.weight) } ?? .chunkEnd }
    }

    private func refusal(_ what: String) -> Failure {
        .usage(
            "\(option): the prompt \(what); \\( and \\[ make brackets text, --prompt-syntax plain makes all of it text")
    }
}
