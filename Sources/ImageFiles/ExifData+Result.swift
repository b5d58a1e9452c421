extension ExifData {
    /// What a result takes over, as a TIFF structure of its own: the picture stands upright, and what shows the
    /// photograph as it was, or can't be moved, is left out: thumbnails, and the makers' notes, which hold previews.
    ///
    /// - Returns: nothing if nothing is left.
    var forResult: [UInt8] {
        let exposure = kept(exposure)
        let place = kept(place)
        var picture = kept(picture).map { field in
            field.tag == Tag.orientation ? Field(tag: field.tag, type: 3, count: 1, value: encoded(1, 2)) : field
        }
        guard !(picture + exposure + place).isEmpty else { return [] }

        let header = (isLittleEndian ? [0x49, 0x49] : [0x4D, 0x4D]) + encoded(42, 2) + encoded(8, 4)
        let below = [(Tag.exposure, exposure), (Tag.place, place)].filter { !$0.1.isEmpty }
        var end = header.count + Self.size(of: picture) + Self.entrySize * below.count
        for (tag, fields) in below {
            picture.append(Field(tag: tag, type: 4, count: 1, value: encoded(end, 4)))
            end += Self.size(of: fields)
        }
        picture.sort { $0.tag < $1.tag }
        return below.reduce(header + directory(picture, at: header.count)) { $0 + directory($1.1, at: $0.count) }
    }

    /// Offsets into the old structure, and what is in them: directories, strips, thumbnails; the maker's note; a second
    /// colour profile; editors' notes (XMP, IPTC, Photoshop), which may hold previews, too.
    private static let leftOut: Set<Int> = [
        0x0111, 0x0117, 0x014A, 0x0201, 0x0202, 0x02BC, 0x83BB, 0x8649, 0x8769, 0x8773, 0x8825, 0x927C, 0xA005,
    ]
    /// Where the picture lay on its side.
    private static let swapped = [
        Tag.horizontalResolution: Tag.verticalResolution, Tag.verticalResolution: Tag.horizontalResolution,
        Tag.width: Tag.height, Tag.height: Tag.width,
    ]
    private static let entrySize = 12

    private func kept(_ fields: [Field]) -> [Field] {
        fields.filter { !Self.leftOut.contains($0.tag) }
            .map { field in
                let tag = orientation >= 5 ? Self.swapped[field.tag] ?? field.tag : field.tag
                return Field(tag: tag, type: field.type, count: field.count, value: field.value)
            }
            .sorted { $0.tag < $1.tag }
    }

    /// Of a directory and its values: a value of up to four bytes stands in its entry, any other begins at an even place.
    private static func size(of fields: [Field]) -> Int {
        2 + entrySize * fields.count + 4
            + fields.reduce(0) { $0 + ($1.value.count > 4 ? $1.value.count + $1.value.count % 2 : 0) }
    }

    private func directory(_ fields: [Field], at start: Int) -> [UInt8] {
        var entries = encoded(fields.count, 2)
        var values: [UInt8] = []
        let place = start + 2 + Self.entrySize * fields.count + 4
        for field in fields {
            entries += encoded(field.tag, 2) + encoded(field.type, 2) + encoded(field.count, 4)
            if field.value.count > 4 {
                entries += encoded(place + values.count, 4)
                values += field.value + [UInt8](repeating: 0, count: field.value.count % 2)
            } else {
                entries += field.value + [UInt8](repeating: 0, count: 4 - field.value.count)
            }
        }
        // No directory follows this one.
        return entries + encoded(0, 4) + values
    }

    /// A whole number in so many bytes.
    func encoded(_ number: Int, _ count: Int) -> [UInt8] {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        return isLittleEndian ? bytes : bytes.reversed()
    }
}
