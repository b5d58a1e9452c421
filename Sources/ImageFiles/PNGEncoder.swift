import CPNG
import Failures
import Glibc

extension RGBImage {
    /// Writes the picture as PNG, 8-bit RGB, in one step: see `AtomicFile`.
    ///
    /// The file's bytes depend on pixels, metadata and texts alone (and on the version of zlib): no time stamp,
    /// compression and filters fixed. A text goes to a tEXt chunk if Latin-1 can express it, else to an iTXt chunk. Zero
    /// bytes, which no text chunk can hold, are left out of texts.
    /// - Throws: `Failure.inputOutput` if the file can't be written.
    public func writePNG(
        to path: String, metadata: PictureMetadata = PictureMetadata(), textChunks: [TextChunk] = []
    ) throws {
        try withPNG(of: metadata, textChunks) { file in
            try AtomicFile.write(to: path) { try $0.write(file) }
        }
    }

    /// Calls `body` with the bytes of the file that `writePNG` writes.
    ///
    /// - Throws: `Failure.internalFault` if libpng does not take the picture or what is beside it.
    public func withPNG<Result>(
        of metadata: PictureMetadata, _ texts: [TextChunk] = [], _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try bytes.withUnsafeBytes {
            try PNGEncoder(width: width, height: height, bits: 8).encode($0, metadata, texts, body)
        }
    }
}

extension DeepImage {
    /// As `RGBImage.withPNG`, with 16 bits a sample.
    public func withPNG<Result>(
        of metadata: PictureMetadata, _ texts: [TextChunk] = [], _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try samples.withUnsafeBytes {
            try PNGEncoder(width: width, height: height, bits: 16).encode($0, metadata, texts, body)
        }
    }
}

private struct PNGEncoder {
    let width: Int
    let height: Int
    /// Of a sample.
    let bits: Int32

    /// - Parameter pixels: red, green and blue, row by row.
    func encode<Result>(
        _ pixels: UnsafeRawBufferPointer, _ metadata: PictureMetadata, _ texts: [TextChunk],
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard let width = UInt32(exactly: width), let height = UInt32(exactly: height) else {
            throw Failure.internalFault("a picture of \(width) x \(height) pixels does not fit a PNG file")
        }
        var message = [CChar](repeating: 0, count: Int(PILOT_PNG_MESSAGE_SIZE))
        var size = 0
        let file = withChunks(of: texts.map(EncodedText.init)[...], []) { chunks in
            metadata.withPNGMetadata { metadata in
                pilot_png_encode(
                    pixels.baseAddress, bits, width, height, &metadata, chunks, Int32(chunks.count), &size, &message)
            }
        }
        guard let file else { throw Failure.internalFault("cannot encode the PNG: \(String(message: message))") }
        defer { free(file) }
        return try body(UnsafeRawBufferPointer(start: file, count: size))
    }

    // Nests one scope per text, in which its bytes keep their place.
    private func withChunks<Result>(
        of texts: ArraySlice<EncodedText>, _ chunks: [pilot_png_text], _ body: ([pilot_png_text]) -> Result
    ) -> Result {
        guard let text = texts.first else { return body(chunks) }
        return text.keyword.withUnsafeBufferPointer { keyword in
            text.text.withUnsafeBufferPointer { bytes in
                let chunk = pilot_png_text(
                    keyword: keyword.baseAddress, text: bytes.baseAddress, length: bytes.count - 1,
                    is_utf8: text.isUTF8)
                return withChunks(of: texts.dropFirst(), chunks + [chunk], body)
            }
        }
    }
}

extension PictureMetadata {
    /// Calls `body` with what libpng is told.
    fileprivate func withPNGMetadata<Result>(_ body: (inout pilot_png_metadata) -> Result) -> Result {
        var metadata = pilot_png_metadata()
        var profile: [UInt8] = []
        switch colours {
        case .unsaid: break
        case .sRGB(let intent):
            metadata.has_srgb = true
            metadata.srgb_intent = intent
        case .profile(let found): profile = found.bytes
        case .numbers(let gamma, let chromaticities):
            metadata.has_gamma = gamma != nil
            metadata.gamma = gamma ?? 0
            metadata.has_chromaticities = chromaticities != nil
            withUnsafeMutableBytes(of: &metadata.chromaticities) { target in
                for (index, value) in (chromaticities ?? []).prefix(8).enumerated() {
                    target.storeBytes(of: value, toByteOffset: 4 * index, as: Int32.self)
                }
            }
        }
        if let resolution {
            metadata.has_resolution = true
            metadata.horizontal = resolution.horizontal
            metadata.vertical = resolution.vertical
            metadata.is_per_metre = resolution.isPerMetre
        }
        return profile.withUnsafeBufferPointer { profile in
            exif.withUnsafeBufferPointer { exif in
                if !profile.isEmpty { metadata.profile = profile.baseAddress }
                metadata.profile_size = profile.count
                if !exif.isEmpty { metadata.exif = exif.baseAddress }
                metadata.exif_size = exif.count
                return body(&metadata)
            }
        }
    }
}

/// A text chunk's bytes, each string ending with a zero as C wants it.
private struct EncodedText {
    let keyword: [CChar]
    let text: [CChar]
    let isUTF8: Bool

    init(_ chunk: TextChunk) {
        func terminated(_ bytes: some Sequence<UInt8>) -> [CChar] {
            bytes.filter { $0 != 0 }.map(CChar.init(bitPattern:)) + [0]
        }
        let latin1 = chunk.text.latin1
        keyword = terminated(chunk.keyword.latin1 ?? Array(chunk.keyword.utf8))
        text = terminated(latin1 ?? Array(chunk.text.utf8))
        isUTF8 = latin1 == nil
    }
}
