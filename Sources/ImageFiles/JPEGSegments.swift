/// The marker segments of a JPEG file before its first scan, as far as they say something of the picture.
struct JPEGSegments {
    /// The TIFF structure of the EXIF data; empty for none.
    private(set) var exif: [UInt8] = []
    /// What the JFIF segment says, if it says a unit.
    private(set) var resolution: PictureMetadata.Resolution?
    private var comments: [[UInt8]] = []
    private var profileParts: [Int: ArraySlice<UInt8>] = [:]
    private var profilePartCount: Int?
    private var isProfileDamaged = false

    private static let inch = 0.0254
    private static let centimetre = 0.01

    init(_ file: UnsafeRawBufferPointer) {
        var position = 2
        while let segment = Segment(file, at: position) {
            take(segment)
            position = segment.end
        }
    }

    /// The named texts in the comments.
    var textChunks: [TextChunk] { JPEGComment.texts(in: comments) }

    /// The colour profile, which is spread over segments of 64 KiB, put together.
    ///
    /// - Returns: nil if there is none.
    /// - Throws: `ICCProfile.Fault` if there is one that can't be used.
    func profile() throws(ICCProfile.Fault) -> ICCProfile? {
        guard !isProfileDamaged else { throw .damaged }
        guard let count = profilePartCount else { return nil }
        guard profileParts.count == count else { throw .damaged }
        let parts = profileParts.sorted { $0.key < $1.key }.map(\.value)
        guard parts.reduce(0, { $0 + $1.count }) <= ICCProfile.largest else { throw .tooLarge }
        return try ICCProfile(parts.flatMap { $0 })
    }

    private mutating func take(_ segment: Segment) {
        func rest(after signature: String) -> [UInt8]? {
            guard segment.payload.starts(with: signature.utf8) else { return nil }
            return Array(segment.payload.dropFirst(signature.utf8.count))
        }
        switch segment.marker {
        case 0xE0:
            if let fields = rest(after: "JFIF\0") { resolution = resolution ?? Self.resolution(fields) }
        case 0xE1:
            if exif.isEmpty, let structure = rest(after: "Exif\0\0") { exif = structure }
        case 0xE2:
            if let part = rest(after: "ICC_PROFILE\0") { takeProfile(part) }
        case JPEGSegment.comment: comments.append(Array(segment.payload))
        default: break
        }
    }

    /// The version in two bytes, the unit, both densities in two bytes each.
    private static func resolution(_ fields: [UInt8]) -> PictureMetadata.Resolution? {
        guard fields.count >= 7 else { return nil }
        let horizontal = UInt32(fields[3]) << 8 | UInt32(fields[4])
        let vertical = UInt32(fields[5]) << 8 | UInt32(fields[6])
        switch fields[2] {
        case 0: return .init(horizontal: horizontal, vertical: vertical, isPerMetre: false)
        case 1: return .init(horizontal: Double(horizontal), vertical: Double(vertical), unit: inch)
        case 2: return .init(horizontal: Double(horizontal), vertical: Double(vertical), unit: centimetre)
        default: return nil
        }
    }

    /// The part's number, 1 for the first, the number of parts, and the part.
    private mutating func takeProfile(_ part: [UInt8]) {
        guard part.count >= 2, part[0] >= 1, part[0] <= part[1], profileParts[Int(part[0])] == nil,
            profilePartCount ?? Int(part[1]) == Int(part[1])
        else {
            isProfileDamaged = true
            return
        }
        profilePartCount = Int(part[1])
        profileParts[Int(part[0])] = part.dropFirst(2)
    }

    /// One marker segment.
    private struct Segment {
        let marker: UInt8
        let payload: Slice<UnsafeRawBufferPointer>
        let end: Int

        init?(_ file: UnsafeRawBufferPointer, at start: Int) {
            var position = start
            guard position < file.count, file[position] == 0xFF else { return nil }
            // Any number of fill bytes may stand before the marker's number.
            while position < file.count, file[position] == 0xFF { position += 1 }
            guard position < file.count else { return nil }
            marker = file[position]
            position += 1
            if marker == 0x01 || (0xD0...0xD7).contains(marker) {
                payload = file[position..<position]
                end = position
                return
            }
            let startOfScan: UInt8 = 0xDA
            let endOfImage: UInt8 = 0xD9
            guard marker != startOfScan, marker != endOfImage, position + 2 <= file.count else { return nil }
            let length = Int(file[position]) << 8 | Int(file[position + 1])
            guard length >= 2, position + length <= file.count else { return nil }
            payload = file[(position + 2)..<(position + length)]
            end = position + length
        }
    }
}
