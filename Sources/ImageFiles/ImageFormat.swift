/// The kind of file that a beginning of bytes announces. The name's extension plays no part.
enum ImageFormat: Equatable {
    case png
    case jpeg
    case webp
    /// Something else, in words that fit after "found".
    case other(String)

    init(_ bytes: UnsafeRawBufferPointer) {
        func has(_ signature: String, at offset: Int = 0) -> Bool {
            bytes.count >= offset + signature.utf8.count
                && bytes[offset..<(offset + signature.utf8.count)].elementsEqual(signature.utf8)
        }
        func has(_ signature: [UInt8]) -> Bool { bytes.starts(with: signature) }

        if has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if has([0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if has("RIFF") && has("WEBP", at: 8) {
            self = .webp
        } else if bytes.isEmpty {
            self = .other("an empty file")
        } else if has("GIF8") {
            self = .other("a GIF picture")
        } else if has("ftypavi", at: 4) {
            self = .other("an AVIF picture")
        } else if ["heic", "heix", "hevc", "heim", "heis", "mif1", "msf1"].contains(where: { has("ftyp" + $0, at: 4) })
        {
            self = .other("a HEIC picture")
        } else if has("II*\0") || has("MM\0*") {
            self = .other("a TIFF picture or a camera's raw file")
        } else if has("BM") {
            self = .other("a BMP picture")
        } else if has([0xFF, 0x0A]) || has("JXL ", at: 4) {
            self = .other("a JPEG XL picture")
        } else if has("jP  ", at: 4) || has([0xFF, 0x4F, 0xFF, 0x51]) {
            self = .other("a JPEG 2000 picture")
        } else if has("8BPS") {
            self = .other("a Photoshop document")
        } else if has("%PDF") {
            self = .other("a PDF document")
        } else if has([0x89, 0x50, 0x4E, 0x47]) {
            self = .other("a PNG picture damaged in transfer")
        } else if bytes.prefix(512).allSatisfy({ (0x20...0x7E).contains($0) || (0x09...0x0D).contains($0) }) {
            self = .other("text")
        } else {
            self = .other("a file of no known picture format")
        }
    }
}
