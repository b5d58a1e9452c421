import CJPEG
import Failures
import Glibc

extension RGBImage {
    /// What a JPEG file may have along a side.
    public static let longestSideOfJPEG = 65_500

    /// Calls `body` with the bytes of a JPEG file of the picture: baseline, colours not subsampled.
    ///
    /// They depend on pixels, quality, metadata and texts alone (and on the version of libjpeg-turbo). Of the metadata
    /// `PictureMetadata.lossesAsJPEG` has no place. Each text goes to comments; see `JPEGComment`.
    /// - Parameter quality: 1 to 100.
    /// - Throws: `Failure.internalFault` if libjpeg does not take the picture.
    public func withJPEG<Result>(
        quality: Int, of metadata: PictureMetadata, _ texts: [TextChunk] = [],
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard max(width, height) <= Self.longestSideOfJPEG else {
            throw Failure.internalFault("a picture of \(width) x \(height) pixels does not fit a JPEG file")
        }
        var message = [CChar](repeating: 0, count: Int(PILOT_JPEG_MESSAGE_SIZE))
        var size = 0
        var density = metadata.resolution?.density ?? pilot_jpeg_density(unit: -1, horizontal: 0, vertical: 0)
        let segments = metadata.segments + texts.flatMap(JPEGComment.segments)
        // One buffer, so that all of them keep their place.
        let joined = segments.flatMap(\.bytes)
        let file = joined.withUnsafeBufferPointer { joined in
            var start = 0
            let described = segments.map { segment in
                defer { start += segment.bytes.count }
                return pilot_jpeg_segment(
                    marker: Int32(segment.marker), bytes: joined.baseAddress.map { $0 + start },
                    size: segment.bytes.count)
            }
            return pilot_jpeg_encode(
                bytes, UInt32(width), UInt32(height), Int32(quality), &density, described, Int32(described.count),
                &size, &message)
        }
        guard let file else { throw Failure.internalFault("cannot encode the JPEG: \(String(message: message))") }
        defer { free(file) }
        return try body(UnsafeRawBufferPointer(start: file, count: size))
    }
}

/// A marker segment that is to be written.
struct JPEGSegment {
    let marker: UInt8
    let bytes: [UInt8]

    /// A segment's length has two bytes, and counts them.
    static let mostBytes = 65_533
    static let comment: UInt8 = 0xFE
}

extension PictureMetadata {
    private static let exifSignature = Array("Exif\0\0".utf8)
    private static let profileSignature = Array("ICC_PROFILE\0".utf8)

    private var exifFitsJPEG: Bool { Self.exifSignature.count + exif.count <= JPEGSegment.mostBytes }

    /// What a JPEG file of a picture can't have of this, in words that go on "a JPEG file ".
    public var lossesAsJPEG: [String] {
        var losses: [String] = []
        if !exifFitsJPEG { losses.append("has no room for the EXIF data, \(exif.count) bytes") }
        if case .numbers = colours, ColourConversion(colours).converts {
            losses.append("can't say the image's gamma and primaries; it is taken for sRGB")
        }
        return losses
    }

    fileprivate var segments: [JPEGSegment] {
        var segments: [JPEGSegment] = []
        if !exif.isEmpty, exifFitsJPEG { segments.append(JPEGSegment(marker: 0xE1, bytes: Self.exifSignature + exif)) }
        guard case .profile(let profile) = colours else { return segments }
        let most = JPEGSegment.mostBytes - Self.profileSignature.count - 2
        // A profile has 4 MiB at most: 65 parts.
        let count = (profile.bytes.count + most - 1) / most
        for part in 0..<count {
            let bytes = profile.bytes[part * most..<min(profile.bytes.count, (part + 1) * most)]
            segments.append(
                JPEGSegment(
                    marker: 0xE2, bytes: Self.profileSignature + [UInt8(part + 1), UInt8(count)] + bytes))
        }
        return segments
    }
}

extension PictureMetadata.Resolution {
    /// Nil where two bytes don't hold it.
    fileprivate var density: pilot_jpeg_density? {
        func perInch(_ number: UInt32) -> UInt16? { UInt16(exactly: (Double(number) * 0.0254).rounded()) }
        let (x, y) =
            isPerMetre
            ? (perInch(horizontal), perInch(vertical)) : (UInt16(exactly: horizontal), UInt16(exactly: vertical))
        guard let x, let y, x > 0, y > 0 else { return nil }
        return pilot_jpeg_density(unit: isPerMetre ? 1 : 0, horizontal: x, vertical: y)
    }
}
