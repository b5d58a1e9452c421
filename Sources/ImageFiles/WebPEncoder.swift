import Failures

extension RGBImage {
    /// What a WebP file may have along a side.
    public static let longestSideOfWebP = 16_383

    /// Finds out whether this machine can write WebP files.
    ///
    /// - Parameter option: what asks for one, for the message.
    /// - Throws: `Failure.usage` that says what to install.
    public static func checkWritesWebP(to path: String, by option: String) throws {
        do throws(WebPLibrary.Absence) {
            _ = try WebPLibrary.found.get()
        } catch {
            throw Failure.usage("\(option) \(path): a WebP file is asked for, and \(error.advice), or name a .png")
        }
    }

    /// Calls `body` with the bytes of a WebP file of the picture.
    ///
    /// They depend on pixels, quality, metadata and texts alone (and on the version of libwebp). Of the metadata
    /// `PictureMetadata.lossesAsWebP` has no place. Each text goes to a chunk of its own; see `WebPChunks.nameOfTexts`.
    /// - Parameter quality: 1 to 100, colours subsampled; nil keeps all pixels as they are.
    /// - Throws: `Failure.internalFault` if libwebp does not take the picture, or is not there.
    public func withWebP<Result>(
        quality: Int?, of metadata: PictureMetadata, _ texts: [TextChunk] = [],
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard max(width, height) <= Self.longestSideOfWebP, let library = try? WebPLibrary.found.get() else {
            throw Failure.internalFault("a picture of \(width) x \(height) pixels does not become a WebP file")
        }
        var file: UnsafeMutablePointer<UInt8>?
        let (columns, rows, stride) = (Int32(width), Int32(height), Int32(3 * width))
        let size =
            if let quality {
                library.encode(bytes, columns, rows, stride, Float(quality), &file)
            } else {
                library.encodeLossless(bytes, columns, rows, stride, &file)
            }
        guard size > 0, let file else {
            throw Failure.internalFault("cannot encode the WebP: libwebp gives no reason; perhaps no memory was left")
        }
        defer { library.free(file) }
        let plain = UnsafeRawBufferPointer(start: file, count: size)
        return try withContainer(of: plain, metadata, texts).withUnsafeBytes(body)
    }

    /// The file that holds the pixels of a plain one, and all else: the extended header, profile, pixels, EXIF data, texts.
    private func withContainer(
        of plain: UnsafeRawBufferPointer, _ metadata: PictureMetadata, _ texts: [TextChunk]
    ) throws -> [UInt8] {
        let pixels: Slice<UnsafeRawBufferPointer>
        do throws(WebPChunks.Fault) {
            pixels = try WebPChunks(plain).pixels
        } catch {
            throw Failure.internalFault("cannot encode the WebP: \(error.reason)")
        }
        var rest: [UInt8] = []
        var flags: UInt8 = 0
        if case .profile(let profile) = metadata.colours {
            flags |= Self.hasProfile
            try rest.appendChunk("ICCP", profile.bytes)
        }
        rest += pixels
        if rest.count % 2 == 1 { rest.append(0) }
        let exif = metadata.exifForWebP
        if !exif.isEmpty {
            flags |= Self.hasExif
            try rest.appendChunk("EXIF", exif)
        }
        for text in texts {
            try rest.appendChunk(
                WebPChunks.nameOfTexts, Array(text.keyword.utf8).filter { $0 != 0 } + [0] + text.text.utf8)
        }
        var header = [flags, 0, 0, 0]
        for side in [width, height] { header += (0..<3).map { UInt8(truncatingIfNeeded: (side - 1) >> (8 * $0)) } }
        var contents = Array("WEBP".utf8)
        try contents.appendChunk("VP8X", header)
        contents += rest
        var file: [UInt8] = []
        try file.appendChunk("RIFF", contents)
        return file
    }

    private static let hasProfile: UInt8 = 0x20
    private static let hasExif: UInt8 = 0x08
}

extension [UInt8] {
    /// - Throws: `Failure.internalFault` if its length does not fit four bytes.
    fileprivate mutating func appendChunk(_ name: String, _ payload: [UInt8]) throws {
        guard let length = UInt32(exactly: payload.count) else {
            throw Failure.internalFault("cannot write the WebP: a chunk of \(payload.count) bytes is too large")
        }
        self += name.utf8
        self += (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
        self += payload
        if payload.count % 2 == 1 { append(0) }
    }
}

extension PictureMetadata {
    /// What a WebP file of a picture can't have of this, in words that go on "a WebP file ".
    public var lossesAsWebP: [String] {
        var losses: [String] = []
        if resolution?.isPerMetre == false { losses.append("can't say that the image's pixels are not square") }
        if case .numbers = colours, ColourConversion(colours).converts {
            losses.append("can't say the image's gamma and primaries; it is taken for sRGB")
        }
        return losses
    }

    /// The EXIF data, which alone have a place for the resolution there.
    fileprivate var exifForWebP: [UInt8] {
        guard let resolution, resolution.isPerMetre, ExifData(exif)?.resolution != resolution else { return exif }
        return (ExifData(exif) ?? ExifData()).saying(resolution).forResult
    }
}
