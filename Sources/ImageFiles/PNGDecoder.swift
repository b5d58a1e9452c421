import CPNG
import Failures
import Glibc

/// A PNG file, decoded with everything the engine reads from it.
struct PNGDecoder {
    let raster: Raster
    let textChunks: [TextChunk]
    /// The eXIf chunk: a TIFF structure.
    let exif: [UInt8]

    /// - Throws: `Failure.badData` if the file is corrupt, cut short or larger than the limits.
    init(_ file: UnsafeRawBufferPointer, path: String, limits: ImageLimits) throws {
        var message = [CChar](repeating: 0, count: Int(PILOT_PNG_MESSAGE_SIZE))
        let start = file.assumingMemoryBound(to: UInt8.self).baseAddress
        guard let reader = pilot_png_open(start, file.count, &message) else { throw Self.corrupt(path, message) }
        defer { pilot_png_close(reader) }

        var raster = try Raster.checkedRoom(
            for: path, width: pilot_png_width(reader), height: pilot_png_height(reader),
            channels: pilot_png_channels(reader), limit: limits.pixels)
        guard pilot_png_decode(reader, &raster.bytes, &message) else { throw Self.corrupt(path, message) }
        self.raster = raster
        textChunks = (0..<pilot_png_text_count(reader)).map { TextChunk(pilot_png_text_at(reader, $0)) }
        var exifSize = 0
        exif = Array(UnsafeBufferPointer(start: pilot_png_exif(reader, &exifSize), count: exifSize))
    }

    private static func corrupt(_ path: String, _ message: [CChar]) -> Failure {
        .badData("\(path): corrupt PNG: \(String(message: message))")
    }
}

extension TextChunk {
    fileprivate init(_ chunk: pilot_png_text) {
        let bytes = UnsafeRawBufferPointer(start: chunk.text, count: chunk.length)
        keyword = String(latin1: UnsafeRawBufferPointer(start: chunk.keyword, count: strlen(chunk.keyword)))
        text = chunk.is_utf8 ? String(decoding: bytes, as: UTF8.self) : String(latin1: bytes)
    }
}
