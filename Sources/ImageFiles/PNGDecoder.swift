import CPNG
import Failures
import Glibc

/// A PNG file, decoded with everything the engine reads from it.
struct PNGDecoder {
    let raster: Raster
    let textChunks: [TextChunk]
    /// The eXIf chunk: a TIFF structure; empty for none.
    let exif: [UInt8]
    let colours: ColourSpace
    /// Why the file's colour profile can't be used, if there is one that can't.
    let profileFault: ICCProfile.Fault?
    let resolution: PictureMetadata.Resolution?
    /// Whether the file's samples have more than the decoded picture's 8 bits.
    let isDeep: Bool

    /// - Throws: `Failure.badData` if the file is corrupt, cut short or larger than the limits.
    init(_ file: UnsafeRawBufferPointer, path: String, limits: ImageLimits) throws {
        var message = [CChar](repeating: 0, count: Int(PILOT_PNG_MESSAGE_SIZE))
        let start = file.assumingMemoryBound(to: UInt8.self).baseAddress
        guard let reader = pilot_png_open(start, file.count, PILOT_PNG_AS_8_BITS, &message) else {
            throw Self.corrupt(path, message)
        }
        defer { pilot_png_close(reader) }

        var raster = try Raster.checkedRoom(
            for: path, width: pilot_png_width(reader), height: pilot_png_height(reader),
            channels: pilot_png_channels(reader), limit: limits.pixels)
        guard pilot_png_decode(reader, &raster.bytes, &message) else { throw Self.corrupt(path, message) }
        self.raster = raster
        textChunks = (0..<pilot_png_text_count(reader)).map { TextChunk(pilot_png_text_at(reader, $0)) }
        isDeep = pilot_png_file_bits(reader) > 8
        let metadata = pilot_png_metadata_of(reader)
        exif = Array(UnsafeBufferPointer(start: metadata.exif, count: metadata.exif_size))
        resolution =
            metadata.has_resolution
            ? .init(
                horizontal: metadata.horizontal, vertical: metadata.vertical, isPerMetre: metadata.is_per_metre) : nil
        do throws(ICCProfile.Fault) {
            if pilot_png_has_bad_profile(reader) { throw ICCProfile.Fault.damaged }
            colours = try Self.colours(metadata)
            profileFault = nil
        } catch {
            colours = .unsaid
            profileFault = error
        }
    }

    /// The pixels of a file whose samples have 16 bits, as red, green and blue, without losing any; a grey value is all
    /// three, and alpha is dropped.
    ///
    /// - Throws: as the initialiser.
    static func deepSamples(
        _ file: UnsafeRawBufferPointer, path: String, limits: ImageLimits
    ) throws -> (samples: [UInt16], width: Int, height: Int) {
        var message = [CChar](repeating: 0, count: Int(PILOT_PNG_MESSAGE_SIZE))
        let start = file.assumingMemoryBound(to: UInt8.self).baseAddress
        guard let reader = pilot_png_open(start, file.count, PILOT_PNG_AS_16_BIT_RGB, &message) else {
            throw corrupt(path, message)
        }
        defer { pilot_png_close(reader) }
        let (width, height) = (pilot_png_width(reader), pilot_png_height(reader))
        try Raster.check(path, width: width, height: height, limit: limits.pixels)
        guard pilot_png_channels(reader) == 3 else { throw corrupt(path, message) }
        var samples = [UInt16](repeating: 0, count: Int(width) * Int(height) * 3)
        guard pilot_png_decode(reader, &samples, &message) else { throw corrupt(path, message) }
        return (samples, Int(width), Int(height))
    }

    private static func colours(_ metadata: pilot_png_metadata) throws(ICCProfile.Fault) -> ColourSpace {
        if metadata.profile != nil {
            let bytes = UnsafeBufferPointer(start: metadata.profile, count: metadata.profile_size)
            return .profile(try ICCProfile(Array(bytes)))
        }
        if metadata.has_srgb { return .sRGB(intent: metadata.srgb_intent) }
        guard metadata.has_gamma || metadata.has_chromaticities else { return .unsaid }
        let chromaticities = withUnsafeBytes(of: metadata.chromaticities) { Array($0.bindMemory(to: Int32.self)) }
        return .numbers(
            gamma: metadata.has_gamma ? metadata.gamma : nil,
            chromaticities: metadata.has_chromaticities ? chromaticities : nil)
    }

    /// What the header says.
    ///
    /// - Throws: `Failure.badData` if the beginning of the file is corrupt.
    static func size(_ file: UnsafeRawBufferPointer, path: String) throws -> (width: Int, height: Int) {
        var message = [CChar](repeating: 0, count: Int(PILOT_PNG_MESSAGE_SIZE))
        let start = file.assumingMemoryBound(to: UInt8.self).baseAddress
        guard let reader = pilot_png_open(start, file.count, PILOT_PNG_AS_8_BITS, &message) else {
            throw Self.corrupt(path, message)
        }
        defer { pilot_png_close(reader) }
        return (Int(pilot_png_width(reader)), Int(pilot_png_height(reader)))
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
