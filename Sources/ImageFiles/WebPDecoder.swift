import Failures

/// A WebP file, decoded.
struct WebPDecoder {
    /// RGB or RGBA.
    let raster: Raster
    let chunks: WebPChunks

    /// - Throws: `Failure.badData` if the file is corrupt, cut short, animated or larger than the limits;
    ///   `missingInput` if there is no libwebp to read it.
    init(_ file: UnsafeRawBufferPointer, path: String, limits: ImageLimits) throws {
        let chunks = try Self.chunks(of: file, path: path)
        // Both sides have 14 bits.
        var raster = try Raster.checkedRoom(
            for: path, width: UInt32(chunks.width), height: UInt32(chunks.height), channels: chunks.hasAlpha ? 4 : 3,
            limit: limits.pixels)
        let library = try Self.library(for: path)
        let stride = Int32(raster.width * raster.channels)
        let isDecoded = raster.bytes.withUnsafeMutableBufferPointer { pixels in
            (chunks.hasAlpha ? library.decodeRGBA : library.decodeRGB)(
                file.assumingMemoryBound(to: UInt8.self).baseAddress, file.count, pixels.baseAddress, pixels.count,
                stride) != nil
        }
        guard isDecoded else {
            throw Failure.badData("\(path): \(WebPChunks.Fault.corrupt("its picture is damaged").reason)")
        }
        (self.raster, self.chunks) = (raster, chunks)
    }

    /// What the header says.
    ///
    /// - Throws: `Failure.badData` if the file is corrupt or animated.
    static func size(_ file: UnsafeRawBufferPointer, path: String) throws -> (width: Int, height: Int) {
        let chunks = try chunks(of: file, path: path)
        return (chunks.width, chunks.height)
    }

    private static func chunks(of file: UnsafeRawBufferPointer, path: String) throws -> WebPChunks {
        do throws(WebPChunks.Fault) {
            return try WebPChunks(file)
        } catch {
            throw Failure.badData("\(path): \(error.reason)")
        }
    }

    private static func library(for path: String) throws -> WebPLibrary {
        do throws(WebPLibrary.Absence) {
            return try WebPLibrary.found.get()
        } catch {
            throw Failure.missingInput(
                "cannot read \(path): it is a WebP picture, and \(error.advice), or save it as PNG")
        }
    }
}
