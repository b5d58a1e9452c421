import Failures

/// A PNG, JPEG or WebP file as read, upright, before it is decided whether it is a photograph or a mask.
public struct DecodedImage: Sendable {
    /// As the user named the file.
    public let path: String
    /// The text chunks of a PNG file, or what stands for them in another, in the file's order.
    public let textChunks: [TextChunk]
    /// Things that did not prevent the reading but that the user should hear of; one line each.
    public let warnings: [String]
    /// What stood beside the pixels and belongs to a result, too, as it is for the upright picture.
    public let metadata: PictureMetadata
    /// What can't be had from this file, and matters if it is a photograph; one line each.
    let losses: [String]
    /// Whether the file's samples have more than 8 bits.
    public let isDeep: Bool
    /// The EXIF orientation that was applied, 1 to 8.
    let orientation: Int
    let raster: Raster

    public var width: Int { raster.width }
    public var height: Int { raster.height }

    /// Reads a PNG, JPEG or WebP file; its first bytes tell which, not its name.
    ///
    /// Samples become 8 bits, though `deep` has all of 16: one bit, two and four are spread over 0...255, of 16 bits the upper byte is taken (in a
    /// grey picture without alpha, v * 255 / 65535 rounded). Palettes are looked up. CMYK becomes RGB without a colour
    /// profile; profiles and gamma are not applied, as in Pillow: `colours` can do it. The EXIF orientation is.
    /// - Throws: `Failure.missingInput` if the file can't be read, or is a WebP file and there is no libwebp; `badData` if
    ///   it is of another kind, corrupt, cut short, animated, or above the limits.
    public static func read(_ path: String, limits: ImageLimits = .standard) throws -> DecodedImage {
        let file = try RegularFile.contents(
            of: path, expected: ImageLimits.expectation, atMost: limits.fileBytes)
        return try decode(file, path: path, limits: limits)
    }

    /// As `read`, for a file's bytes that are in memory already; `path` is for messages.
    package static func decode(_ file: [UInt8], path: String, limits: ImageLimits = .standard) throws -> DecodedImage {
        try file.withUnsafeBytes { bytes in
            switch ImageFormat(bytes) {
            case .png: DecodedImage(try PNGDecoder(bytes, path: path, limits: limits), path: path)
            case .jpeg:
                DecodedImage(try JPEGDecoder(bytes, path: path, limits: limits), JPEGSegments(bytes), path: path)
            case .webp: DecodedImage(try WebPDecoder(bytes, path: path, limits: limits), path: path)
            case .other(let found):
                throw Failure.badData("\(path): expected \(ImageLimits.expectation), found \(found)")
            }
        }
    }

    /// What a file's header says of its sides, before any EXIF orientation is applied. No pixel is decoded.
    ///
    /// - Throws: `Failure.badData` if the file is none of ours, or its header is corrupt.
    public static func storedSize(_ file: [UInt8], path: String) throws -> (width: Int, height: Int) {
        try file.withUnsafeBytes { bytes in
            switch ImageFormat(bytes) {
            case .png: try PNGDecoder.size(bytes, path: path)
            case .jpeg: try JPEGDecoder.size(bytes, path: path)
            case .webp: try WebPDecoder.size(bytes, path: path)
            case .other(let found):
                throw Failure.badData("\(path): expected \(ImageLimits.expectation), found \(found)")
            }
        }
    }

    private init(_ png: PNGDecoder, path: String) {
        self.init(
            png.raster, path: path, textChunks: png.textChunks,
            FileMetadata(
                colours: png.colours, profileFault: png.profileFault, resolution: png.resolution, exif: png.exif),
            isDeep: png.isDeep)
    }

    private init(_ jpeg: JPEGDecoder, _ segments: JPEGSegments, path: String) {
        let stray = "\(path): stray bytes before the JPEG's end mark; the picture itself is whole"
        let inks =
            "\(path): has CMYK colours, which become RGB without their profile and may look different; a program that "
            + "knows colour profiles can convert the file to RGB before"
        self.init(
            jpeg.raster, path: path, textChunks: segments.textChunks, warnings: jpeg.hasStrayBytes ? [stray] : [],
            FileMetadata(segments, hasInks: jpeg.hasInks), losses: jpeg.hasInks ? [inks] : [])
    }

    private init(_ webp: WebPDecoder, path: String) {
        self.init(webp.raster, path: path, textChunks: webp.chunks.texts, FileMetadata(webp.chunks))
    }

    private init(
        _ raster: Raster, path: String, textChunks: [TextChunk], warnings: [String] = [], _ found: FileMetadata,
        losses: [String] = [], isDeep: Bool = false
    ) {
        self.path = path
        self.textChunks = textChunks
        self.warnings = warnings
        self.isDeep = isDeep
        orientation = found.orientation
        self.raster = raster.oriented(found.orientation)
        let (metadata, fault) = found.forResult
        self.metadata = metadata
        self.losses = losses + (fault.map { ["\(path): its colour profile is left out: it \($0.reason)"] } ?? [])
    }

    /// How the picture's colours become sRGB, and sRGB becomes such colours.
    public var colours: ColourConversion { ColourConversion(metadata.colours) }

    /// The picture's colours, as Pillow's `convert("RGB")` gives them: an alpha channel is dropped, not blended.
    public var rgb: RGBImage {
        guard raster.channels != 3 else { return RGBImage(width: width, height: height, bytes: raster.bytes) }
        let isGrey = raster.channels < 3
        var bytes = [UInt8](repeating: 0, count: width * height * 3)
        for pixel in 0..<(width * height) {
            for channel in 0..<3 {
                bytes[3 * pixel + channel] = raster.bytes[raster.channels * pixel + (isGrey ? 0 : channel)]
            }
        }
        return RGBImage(width: width, height: height, bytes: bytes)
    }

    /// The picture's brightness, as Pillow's `convert("L")` gives it: ITU-R BT.601 luma in 16-bit fixed point.
    public var grey: GreyImage { raster.grey }
}

extension Raster {
    var grey: GreyImage {
        let bytes = (0..<(width * height)).map { pixel -> UInt8 in
            let start = channels * pixel
            if channels < 3 { return self.bytes[start] }
            let red = UInt32(self.bytes[start])
            let green = UInt32(self.bytes[start + 1])
            let blue = UInt32(self.bytes[start + 2])
            // 0.299, 0.587 and 0.114 times 65536; their sum is 65536, so the result fits a byte.
            return UInt8((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16)
        }
        return GreyImage(width: width, height: height, bytes: bytes)
    }
}
