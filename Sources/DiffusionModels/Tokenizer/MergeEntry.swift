import Failures

/// One merge as a file states it, and where, for messages.
struct MergeEntry {
    let left: [UInt8]
    let right: [UInt8]
    let file: String
    let place: String

    /// The lines of a `merges.txt`: two tokens and a space between; the first line may be a `#version`.
    static func entries(ofText text: String, file: String) throws -> [MergeEntry] {
        // Bytes, since "\r\n" is one Character, and a combining mark at a line's start would hide the line feed.
        let lines = Array(text.utf8).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var entries: [MergeEntry] = []
        for (index, bytes) in lines.enumerated() {
            let line = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
            if line.starts(with: "#version".utf8) || (line.isEmpty && index == lines.count - 1) { continue }
            entries.append(try MergeEntry(splitting: line, file: file, place: "line \(index + 1)"))
        }
        return entries
    }

    /// The merges of a `tokenizer.json`: each `"a b"`, or `["a", "b"]` in newer files.
    static func entries(of model: OrderedJSON, file: String) throws -> [MergeEntry] {
        guard case .array(let merges)? = model["merges"] else {
            throw Failure.badData(
                file: file, key: "model.merges", expected: "an array", found: model["merges"]?.summary ?? "nothing")
        }
        return try merges.enumerated().map { index, merge in
            let place = "model.merges[\(index)]"
            switch merge {
            case .string(let text):
                return try MergeEntry(splitting: Array(text.utf8)[...], file: file, place: place)
            case .array(let pair) where pair.count == 2:
                guard let left = pair[0].string, let right = pair[1].string else { fallthrough }
                return MergeEntry(left: Array(left.utf8), right: Array(right.utf8), file: file, place: place)
            default:
                throw Failure.badData(file: file, key: place, expected: "a pair of tokens", found: merge.summary)
            }
        }
    }

    private init(left: [UInt8], right: [UInt8], file: String, place: String) {
        self.left = left
        self.right = right
        self.file = file
        self.place = place
    }

    private init(splitting line: ArraySlice<UInt8>, file: String, place: String) throws {
        let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw Failure.badData(
                file: file, key: place, expected: "two tokens and a space between",
                found: OrderedJSON.quoted(String(decoding: line, as: UTF8.self)))
        }
        self.init(left: Array(parts[0]), right: Array(parts[1]), file: file, place: place)
    }
}
