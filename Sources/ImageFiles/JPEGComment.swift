/// Named texts in the comments of a JPEG file, which has no text chunks: a comment says whose part it is, and which.
///
///     pilot 1/2: {"fingerprints":…
///
/// A comment has 64 KiB at most, so a longer text goes to several.
enum JPEGComment {
    private static let mostParts = 255
    private static let longestKeyword = 79
    /// All texts of a file together, as for PNG files.
    private static let mostBytes = 8 << 20

    /// - Precondition: the text fits; keywords are letters.
    static func segments(of text: TextChunk) -> [JPEGSegment] {
        let bytes = Array(text.text.utf8)
        let most = JPEGSegment.mostBytes - longestKeyword - " 255/255: ".utf8.count
        let count = max(1, (bytes.count + most - 1) / most)
        precondition(count <= mostParts, "a text for a JPEG file has 16 MB at most")
        return (0..<count).map { part in
            let rest = bytes[min(bytes.count, part * most)..<min(bytes.count, (part + 1) * most)]
            return JPEGSegment(
                marker: JPEGSegment.comment, bytes: Array("\(text.keyword) \(part + 1)/\(count): ".utf8) + rest)
        }
    }

    /// The texts in these comments, in the order in which they begin. What is no part of a text, and texts of which a part
    /// is missing or there twice, are left out.
    static func texts(in comments: [[UInt8]]) -> [TextChunk] {
        var keywords: [String] = []
        var parts: [String: [Part]] = [:]
        var room = mostBytes
        for part in comments.lazy.compactMap(Part.init) {
            room -= part.bytes.count
            guard room >= 0 else { break }
            if parts[part.keyword] == nil { keywords.append(part.keyword) }
            parts[part.keyword, default: []].append(part)
        }
        return keywords.compactMap { keyword in
            let found = (parts[keyword] ?? []).sorted { $0.number < $1.number }
            guard let count = found.first?.count, found.map(\.number).elementsEqual(1...count),
                found.allSatisfy({ $0.count == count })
            else { return nil }
            return TextChunk(keyword: keyword, text: String(decoding: found.flatMap(\.bytes), as: UTF8.self))
        }
    }

    private struct Part {
        let keyword: String
        let number: Int
        let count: Int
        let bytes: ArraySlice<UInt8>

        init?(_ comment: [UInt8]) {
            let head = comment.prefix(longestKeyword + " 255/255: ".utf8.count)
            guard let colon = head.firstIndex(of: UInt8(ascii: ":")), comment.count > colon + 1,
                comment[colon + 1] == UInt8(ascii: " "), head[..<colon].allSatisfy({ (0x20...0x7E).contains($0) })
            else { return nil }
            let words = String(decoding: head[..<colon], as: UTF8.self).split(
                separator: " ", omittingEmptySubsequences: false)
            guard words.count == 2, (1...longestKeyword).contains(words[0].count) else { return nil }
            let numbers = words[1].split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
            guard numbers.count == 2, let number = numbers[0], let count = numbers[1],
                (1...mostParts).contains(count), (1...count).contains(number)
            else { return nil }
            keyword = String(words[0])
            self.number = number
            self.count = count
            bytes = comment[(colon + 2)...]
        }
    }
}
