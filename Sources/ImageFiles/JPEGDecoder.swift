import CJPEG
import Failures

/// A JPEG file, decoded.
struct JPEGDecoder {
    /// Grey or RGB.
    let raster: Raster
    /// Whether the file's colours are inks (CMYK or YCCK).
    let hasInks: Bool
    /// Whether stray bytes stood before the end mark; the picture itself is whole.
    let hasStrayBytes: Bool

    /// - Throws: `Failure.badData` if the file is corrupt, cut short or larger than the limits.
    init(_ file: UnsafeRawBufferPointer, path: String, limits: ImageLimits) throws {
        var message = [CChar](repeating: 0, count: Int(PILOT_JPEG_MESSAGE_SIZE))
        let start = file.assumingMemoryBound(to: UInt8.self).baseAddress
        guard let reader = pilot_jpeg_open(start, file.count, &message) else { throw Self.corrupt(path, message) }
        defer { pilot_jpeg_close(reader) }

        var raster = try Raster.checkedRoom(
            for: path, width: pilot_jpeg_width(reader), height: pilot_jpeg_height(reader),
            channels: pilot_jpeg_channels(reader), limit: limits.pixels)
        guard pilot_jpeg_decode(reader, &raster.bytes, &message) else { throw Self.corrupt(path, message) }
        hasInks = raster.channels == 4
        self.raster = hasInks ? Self.rgb(fromInvertedInks: raster) : raster
        hasStrayBytes = pilot_jpeg_has_stray_bytes(reader)
    }

    /// What the header says.
    ///
    /// - Throws: `Failure.badData` if the beginning of the file is corrupt.
    static func size(_ file: UnsafeRawBufferPointer, path: String) throws -> (width: Int, height: Int) {
        var message = [CChar](repeating: 0, count: Int(PILOT_JPEG_MESSAGE_SIZE))
        let start = file.assumingMemoryBound(to: UInt8.self).baseAddress
        guard let reader = pilot_jpeg_open(start, file.count, &message) else { throw Self.corrupt(path, message) }
        defer { pilot_jpeg_close(reader) }
        return (Int(pilot_jpeg_width(reader)), Int(pilot_jpeg_height(reader)))
    }

    private static func corrupt(_ path: String, _ message: [CChar]) -> Failure {
        .badData("\(path): corrupt or unsupported JPEG: \(String(message: message))")
    }

    /// CMYK as Adobe writes it, 255 for no ink, to RGB without a colour profile, with Pillow's rounding:
    /// red = black * (1 - cyan), and so on, each clipped to a byte.
    private static func rgb(fromInvertedInks inks: Raster) -> Raster {
        var rgb = [UInt8](repeating: 0, count: inks.width * inks.height * 3)
        for pixel in 0..<(inks.width * inks.height) {
            let black = Int(inks.bytes[4 * pixel + 3])
            for channel in 0..<3 {
                let ink = 255 - Int(inks.bytes[4 * pixel + channel])
                // A product of two bytes over 255, rounded.
                let product = ink * black + 128
                rgb[3 * pixel + channel] = UInt8(max(0, black - ((product >> 8) + product) >> 8))
            }
        }
        return Raster(width: inks.width, height: inks.height, channels: 3, bytes: rgb)
    }
}
