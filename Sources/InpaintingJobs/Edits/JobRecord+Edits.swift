import ImageFiles

extension JobRecord {
    /// More is a loop of a script, and makes every record longer than the one before.
    static let mostEdits = 100
    /// Of a record's text, so that no picture's record outgrows what readers of PNG files take.
    static let longestText = 1 << 20

    /// The edits that made a picture, the first one first, as far as its file says so: a file whose record can't be read
    /// is a picture like any other.
    ///
    /// - Returns: nil for none, and why not, if there might have been.
    static func edits(of picture: DecodedImage) -> (edits: [JobRecord]?, note: String?) {
        guard let text = text(in: picture) else { return (nil, nil) }
        guard text.utf8.count <= longestText, let record = try? JobRecord(parsing: text) else { return (nil, nil) }
        var last = record
        last.edits = nil
        let edits = (record.edits ?? []) + [last]
        guard edits.count <= mostEdits else {
            let note =
                "\(picture.path): was made by \(edits.count) edits, and a record has \(mostEdits) at most: the new one "
                + "begins with this picture"
            return (nil, note)
        }
        return (edits, nil)
    }
}
