/// What the chunks of a WebP file say: a RIFF file, whose chunks have a name of four letters, a length, and so many bytes.
///
/// The pixels stay where they are. Of chunks that may stand once, the first one counts.
struct WebPChunks {
    /// The header's: what the decoded picture will have.
    let width: Int
    let height: Int
    let hasAlpha: Bool
    /// The chunk of the pixels, with its name and length.
    let pixels: Slice<UnsafeRawBufferPointer>
    /// A TIFF structure; empty for none.
    let exif: [UInt8]
    /// The colour profile as it stands there, if one does.
    let profile: [UInt8]?
    /// The named texts of this program's own chunks.
    let texts: [TextChunk]

    /// The name of a chunk of ours, which holds a text: its keyword, a zero byte, and UTF-8. The format has no place for
    /// texts but XMP; it lets programs have chunks of their own, behind all others.
    static let nameOfTexts = "PLTX"

    /// What is wrong with a file, in words that go on the file's name and a colon.
    struct Fault: Error, Equatable {
        let reason: String

        static let animated = Fault(reason: "an animated WebP picture; expected a still one, such as one of its frames")
        static func corrupt(_ what: String) -> Fault { Fault(reason: "corrupt WebP: \(what)") }
    }

    /// - Throws: `Fault` if the file is cut short or animated, or has no picture of a kind that is known.
    init(_ file: UnsafeRawBufferPointer) throws(Fault) {
        var found = Found()
        guard let claimed = Self.number(4, in: file[...], at: 4), file.count >= Self.headerSize else {
            throw .corrupt("it ends within its header")
        }
        guard claimed <= file.count - 8 else { throw .corrupt("it ends too early") }
        let end = 8 + claimed
        var position = Self.headerSize
        while position + 8 <= end {
            guard let length = Self.number(4, in: file[...], at: position + 4), length <= end - position - 8 else {
                throw .corrupt("a chunk goes on behind the file's end")
            }
            let whole = file[position..<(position + 8 + length)]
            try found.take(String(latin1: whole.prefix(4)), whole)
            // Chunks begin at even places.
            position += 8 + length + length % 2
        }
        guard !found.isAnimated else { throw .animated }
        guard let picture = found.picture, let pixels = found.pixels else { throw .corrupt("it has no picture") }
        guard found.canvas ?? (picture.width, picture.height) == (picture.width, picture.height) else {
            throw .corrupt("its header and its picture differ in size")
        }
        (width, height) = (picture.width, picture.height)
        hasAlpha = picture.hasAlpha ?? found.hasAlphaChunk
        self.pixels = pixels
        (exif, profile, texts) = (found.exif, found.profile, found.texts)
    }

    /// `RIFF`, the length of the rest, `WEBP`.
    static let headerSize = 12
    /// All texts of a file together, as for PNG files.
    private static let mostBytesOfTexts = 8 << 20

    /// A whole number, its lowest byte first; nil beyond the end.
    ///
    /// - Parameter offset: from the beginning of the slice.
    fileprivate static func number(_ count: Int, in bytes: Slice<UnsafeRawBufferPointer>, at offset: Int) -> Int? {
        guard offset + count <= bytes.count else { return nil }
        let start = bytes.startIndex + offset
        return bytes[start..<(start + count)].reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    /// What has been seen of a file.
    private struct Found {
        var canvas: (width: Int, height: Int)?
        var picture: Picture?
        var pixels: Slice<UnsafeRawBufferPointer>?
        var hasAlphaChunk = false
        var isAnimated = false
        var exif: [UInt8] = []
        var profile: [UInt8]?
        var texts: [TextChunk] = []
        var room = mostBytesOfTexts

        /// - Parameter chunk: with its name and length.
        mutating func take(_ name: String, _ chunk: Slice<UnsafeRawBufferPointer>) throws(Fault) {
            let payload = chunk.dropFirst(8)
            switch name {
            case "VP8X": try takeHeader(payload)
            case "VP8 ", "VP8L":
                guard picture == nil else { return }
                guard let header = name == "VP8L" ? Picture(lossless: payload) : Picture(lossy: payload) else {
                    throw .corrupt("its picture has no header that is known")
                }
                (picture, pixels) = (header, chunk)
            case "ALPH": hasAlphaChunk = true
            case "ANIM", "ANMF": isAnimated = true
            case "ICCP": profile = profile ?? Array(payload)
            case "EXIF": if exif.isEmpty { exif = Self.structure(payload) }
            case WebPChunks.nameOfTexts: takeText(payload)
            default: break
            }
        }

        /// Flags in four bytes, and both sides less one, in three bytes each.
        private mutating func takeHeader(_ payload: Slice<UnsafeRawBufferPointer>) throws(Fault) {
            guard let flags = number(1, in: payload, at: 0), let width = number(3, in: payload, at: 4),
                let height = number(3, in: payload, at: 7)
            else { throw .corrupt("its header is too short") }
            isAnimated = isAnimated || flags & 2 != 0
            canvas = canvas ?? (width + 1, height + 1)
        }

        /// Some programs put JPEG's signature before it.
        private static func structure(_ payload: Slice<UnsafeRawBufferPointer>) -> [UInt8] {
            let signature = Array("Exif\0\0".utf8)
            return Array(payload.starts(with: signature) ? payload.dropFirst(signature.count) : payload)
        }

        private mutating func takeText(_ payload: Slice<UnsafeRawBufferPointer>) {
            guard payload.count <= room, let end = payload.firstIndex(of: 0) else { return }
            room -= payload.count
            texts.append(
                TextChunk(
                    keyword: String(latin1: payload[..<end]),
                    text: String(decoding: payload[payload.index(after: end)...], as: UTF8.self)))
        }
    }

    /// What the header of the pixels says.
    private struct Picture {
        let width: Int
        let height: Int
        /// Nil where a chunk of its own would have the alpha channel.
        let hasAlpha: Bool?

        /// VP8's key frame: three bytes, a start code, and both sides in the lower 14 bits of two bytes each.
        init?(lossy bytes: Slice<UnsafeRawBufferPointer>) {
            guard let tag = number(3, in: bytes, at: 0), tag & 1 == 0, number(3, in: bytes, at: 3) == 0x2A019D,
                let width = number(2, in: bytes, at: 6), let height = number(2, in: bytes, at: 8)
            else { return nil }
            (self.width, self.height, hasAlpha) = (width & 0x3FFF, height & 0x3FFF, nil)
            guard self.width > 0, self.height > 0 else { return nil }
        }

        /// A signature, both sides less one in 14 bits each, whether there is alpha, and the version.
        init?(lossless bytes: Slice<UnsafeRawBufferPointer>) {
            guard number(1, in: bytes, at: 0) == 0x2F, let bits = number(4, in: bytes, at: 1), bits >> 29 == 0 else {
                return nil
            }
            (width, height, hasAlpha) = (bits & 0x3FFF + 1, bits >> 14 & 0x3FFF + 1, bits >> 28 & 1 == 1)
        }
    }
}
