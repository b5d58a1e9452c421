/// EXIF data: a TIFF structure with a directory of the picture, and below it one of the exposure and one of the place.
///
/// Whatever is missing, damaged or points out of the structure is left out. The values together are never larger than
/// the structure, however many fields point at the same bytes.
struct ExifData {
    /// One field of a directory; its value in the structure's order of bytes.
    struct Field {
        let tag: Int
        let type: Int
        let count: Int
        let value: [UInt8]

        /// Bytes of a value by its type's number: BYTE, ASCII, SHORT, LONG, RATIONAL, the signed ones, UNDEFINED, FLOAT
        /// and DOUBLE.
        static let sizes = [1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8]
    }

    enum Tag {
        static let orientation = 0x0112
        static let horizontalResolution = 0x011A
        static let verticalResolution = 0x011B
        static let resolutionUnit = 0x0128
        static let exposure = 0x8769
        static let place = 0x8825
        static let width = 0xA002
        static let height = 0xA003
    }

    let isLittleEndian: Bool
    private(set) var picture: [Field] = []
    private(set) var exposure: [Field] = []
    private(set) var place: [Field] = []

    /// No field at all.
    init() { isLittleEndian = false }

    init?(_ bytes: [UInt8]) {
        switch bytes.prefix(2) {
        case [0x49, 0x49]: isLittleEndian = true
        case [0x4D, 0x4D]: isLittleEndian = false
        default: return nil
        }
        var structure = Structure(bytes: bytes, isLittleEndian: isLittleEndian, room: bytes.count)
        guard structure.number(2, at: 2) == 42, let start = structure.number(4, at: 4) else { return nil }
        picture = structure.directory(at: start)
        exposure = number(Tag.exposure, in: picture).map { structure.directory(at: $0) } ?? []
        place = number(Tag.place, in: picture).map { structure.directory(at: $0) } ?? []
    }

    /// The same with these fields of the picture's directory, in place of those of the same tags.
    func replacing(_ fields: [Field]) -> ExifData {
        var copy = self
        copy.picture.removeAll { field in fields.contains { $0.tag == field.tag } }
        copy.picture += fields
        return copy
    }

    /// How the camera was held: 1 upright, up to 8; 1 where that is not said.
    var orientation: Int {
        let value = number(Tag.orientation, in: picture) ?? 1
        return (1...8).contains(value) ? value : 1
    }

    /// Pixels per inch or centimetre, if the picture's directory says them.
    var resolution: PictureMetadata.Resolution? {
        guard let horizontal = ratio(Tag.horizontalResolution), let vertical = ratio(Tag.verticalResolution) else {
            return nil
        }
        switch number(Tag.resolutionUnit, in: picture) ?? 2 {
        case 2: return .init(horizontal: horizontal, vertical: vertical, unit: 0.0254)
        case 3: return .init(horizontal: horizontal, vertical: vertical, unit: 0.01)
        default: return nil
        }
    }

    /// A whole number that stands alone: BYTE, SHORT or LONG.
    private func number(_ tag: Int, in fields: [Field]) -> Int? {
        guard let field = fields.first(where: { $0.tag == tag }), field.count == 1, [1, 3, 4].contains(field.type)
        else { return nil }
        return Structure.number(field.value[...], isLittleEndian)
    }

    private func ratio(_ tag: Int) -> Double? {
        guard let field = picture.first(where: { $0.tag == tag }), field.count == 1, field.type == 5 else { return nil }
        let denominator = Structure.number(field.value[4...], isLittleEndian)
        return denominator == 0
            ? nil : Double(Structure.number(field.value[..<4], isLittleEndian)) / Double(denominator)
    }

    /// The bytes, and what may still be taken out of them.
    private struct Structure {
        let bytes: [UInt8]
        let isLittleEndian: Bool
        var room: Int

        static func number(_ field: ArraySlice<UInt8>, _ isLittleEndian: Bool) -> Int {
            isLittleEndian
                ? field.reversed().reduce(0) { $0 << 8 | Int($1) } : field.reduce(0) { $0 << 8 | Int($1) }
        }

        func slice(_ count: Int, at offset: Int) -> ArraySlice<UInt8>? {
            guard count <= bytes.count, offset <= bytes.count - count else { return nil }
            return bytes[offset..<(offset + count)]
        }

        /// - Precondition: `offset` is not negative, and `count` is at most 4.
        func number(_ count: Int, at offset: Int) -> Int? {
            slice(count, at: offset).map { Self.number($0, isLittleEndian) }
        }

        /// The fields of a directory: their number, and 12 bytes for each. A tag that comes again is left out.
        mutating func directory(at start: Int) -> [Field] {
            guard let count = number(2, at: start) else { return [] }
            var fields: [Int: Field] = [:]
            for entry in 0..<count {
                guard let field = field(at: start + 2 + 12 * entry), fields[field.tag] == nil else { continue }
                fields[field.tag] = field
                room -= field.value.count
            }
            return fields.values.sorted { $0.tag < $1.tag }
        }

        private func field(at offset: Int) -> Field? {
            guard let tag = number(2, at: offset), let type = number(2, at: offset + 2), let size = Field.sizes[type],
                let count = number(4, at: offset + 4), count > 0, count <= room / size
            else { return nil }
            // A value of up to four bytes stands in the entry itself.
            let inEntry = size * count <= 4
            guard let place = inEntry ? offset + 8 : number(4, at: offset + 8),
                let value = slice(size * count, at: place)
            else { return nil }
            return Field(tag: tag, type: type, count: count, value: Array(value))
        }
    }
}
