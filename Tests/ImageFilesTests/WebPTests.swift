import Failures
import Foundation
import ImageFiles
import Testing

private let hasWebP = (try? RGBImage.checkWritesWebP(to: "a.webp", by: "--output")) != nil

/// WebP files, others' and ours. The fixtures were made by `scripts/fixtures/make_webp_fixtures.py`.
@Suite(.enabled(if: hasWebP, "there is no libwebp here: apt-get install libwebp7"))
struct WebPTests {
    /// What Pillow makes of a file.
    private struct Readable: Decodable {
        let file: String
        let width: Int
        let height: Int
        let rgb: Data
        let alpha: Data?
    }

    private static func readable() throws -> [Readable] {
        try Fixtures.decode([Readable].self, from: "WebP/readable.json")
    }

    private func file(
        _ picture: RGBImage, quality: Int? = nil, _ metadata: PictureMetadata = PictureMetadata(),
        _ texts: [TextChunk] = []
    ) throws -> [UInt8] {
        try picture.withWebP(quality: quality, of: metadata, texts) { [UInt8]($0) }
    }

    private func noise(width: Int, height: Int) -> RGBImage {
        var generator = SeededGenerator(state: 3)
        let bytes = (0..<3 * width * height).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return RGBImage(width: width, height: height, bytes: bytes)
    }

    /// Equality: the format says to the bit what is decoded.
    @Test func everyKindReadsAsPillowReadsIt() throws {
        let expected = try Self.readable()
        #expect(expected.count == 7)
        for picture in expected {
            let path = Fixtures.path("WebP/" + picture.file)
            let decoded = try DecodedImage.read(path)
            #expect(decoded.width == picture.width && decoded.height == picture.height, "\(picture.file)")
            #expect(decoded.rgb.bytes == Array(picture.rgb), "\(picture.file)")
            #expect(decoded.transparencyMask?.bytes == picture.alpha.map { $0.map { 255 - $0 } }, "\(picture.file)")
            let stored = try DecodedImage.storedSize(Fixtures.bytes("WebP/" + picture.file), path: path)
            #expect([stored.width, stored.height].sorted() == [picture.width, picture.height].sorted())
        }
    }

    @Test func aCamerasMetadataAreRead() throws {
        let camera = try DecodedImage.read(Fixtures.path("WebP/camera.webp"))
        let jpeg = try DecodedImage.read(Fixtures.path("Colour/wide.jpg"))
        #expect(camera.metadata == jpeg.metadata && camera.width == 29)
        #expect(camera.photographWarnings.isEmpty && camera.warnings.isEmpty)
        #expect(try !DecodedImage.read(Fixtures.path("WebP/signed-exif.webp")).metadata.exif.isEmpty)
    }

    @Test func losslessPixelsComeBackToTheBit() throws {
        for (width, height) in [(1, 1), (83, 41), (2, 300)] {
            let picture = noise(width: width, height: height)
            let bytes = try file(picture)
            #expect(try DecodedImage.decode(bytes, path: "a.webp").rgb == picture)
            #expect(try file(picture) == bytes)
        }
    }

    @Test func qualityDecidesWhatIsLost() throws {
        var bytes: [UInt8] = []
        for y in 0..<64 {
            for x in 0..<64 { bytes += [UInt8(2 * x), UInt8(3 * y), UInt8(x + y)] }
        }
        let picture = RGBImage(width: 64, height: 64, bytes: bytes)
        let decoded = try [100, 95, 10].map { quality in
            try DecodedImage.decode(file(picture, quality: quality), path: "a.webp").rgb
        }
        let errors = decoded.map { zip($0.bytes, bytes).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) } }
        #expect(errors == errors.sorted() && errors[0] > 0 && errors[0] < errors[2])
        #expect(errors[1] < 4 * bytes.count, "\(errors)")
        #expect(try file(picture, quality: 95) == file(picture, quality: 95))
    }

    @Test(arguments: ["Colour/wide.jpg", "Colour/exif-density.jpg", "Colour/wide.png", "Colour/plain.png"])
    func metadataComeBack(name: String) throws {
        let source = try DecodedImage.read(Fixtures.path(name))
        #expect(source.metadata.lossesAsWebP.isEmpty)
        for quality in [nil, 90] {
            let copy = try DecodedImage.decode(file(source.rgb, quality: quality, source.metadata), path: "a.webp")
            #expect(copy.metadata == source.metadata)
        }
    }

    /// A PNG file's resolution is in no EXIF data; in a WebP file they are its only place.
    @Test func resolutionGoesToTheExifData() throws {
        var metadata = try DecodedImage.read(Fixtures.path("Colour/wide.png")).metadata
        let resolution = try #require(metadata.resolution)
        metadata.exif = []
        let copy = try DecodedImage.decode(file(noise(width: 5, height: 4), metadata), path: "a.webp").metadata
        #expect(copy.resolution == resolution && copy.colours == metadata.colours && !copy.exif.isEmpty)
        // Written once, it is there.
        #expect(try DecodedImage.decode(file(noise(width: 5, height: 4), copy), path: "a.webp").metadata == copy)
    }

    @Test func whatDoesNotFitIsSaid() throws {
        let numbers = try DecodedImage.read(Fixtures.path("Colour/gamma-1.8.png")).metadata
        #expect(numbers.lossesAsWebP.count == 1 && numbers.lossesAsWebP[0].contains("gamma"))
        let wide = noise(width: RGBImage.longestSideOfWebP + 1, height: 1)
        #expect(failure { _ = try file(wide) }?.kind == .internalFault)
        let widest = noise(width: RGBImage.longestSideOfWebP, height: 1)
        #expect(try DecodedImage.decode(file(widest), path: "a.webp").rgb == widest)
    }

    @Test func textsComeBack() throws {
        let texts = [
            TextChunk(keyword: "parameters", text: "a café 🎨\nSteps: 3"), TextChunk(keyword: "empty", text: ""),
            TextChunk(keyword: "pilot", text: String(repeating: #"{"q":"東京"}"#, count: 20_000)),
        ]
        for quality in [nil, 60] {
            let bytes = try file(noise(width: 5, height: 5), quality: quality, PictureMetadata(), texts)
            #expect(try DecodedImage.decode(bytes, path: "a.webp").textChunks == texts)
        }
        // All texts together have 8 MiB at most; what goes beyond is left out.
        let long = TextChunk(keyword: "long", text: String(repeating: "a", count: 5 << 20))
        let bytes = try file(noise(width: 5, height: 5), PictureMetadata(), [long, long, texts[1]])
        #expect(try DecodedImage.decode(bytes, path: "a.webp").textChunks == [long, texts[1]])
    }

    @Test func hostileFilesAreRefusedInOneLine() throws {
        let folder = Fixtures.path("WebP/Hostile")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names.count == 14)
        for name in names {
            let path = folder + "/" + name
            guard let thrown = failure(of: { _ = try DecodedImage.read(path) }) else {
                Issue.record("\(name) was read")
                continue
            }
            #expect(thrown.kind == .badData)
            #expect(thrown.message.hasPrefix(path + ": ") && !thrown.message.contains("\n"), "\(thrown.message)")
        }
        func message(_ name: String) -> String {
            failure { _ = try DecodedImage.read(folder + "/" + name) }?.message ?? ""
        }
        #expect(message("animated.webp").contains("an animated WebP picture; expected a still one"))
        #expect(message("bomb-16384.webp").contains("it claims 16384 x 16384 pixels, and a picture may have 100"))
        #expect(message("riff-length.webp").contains("it ends too early"))
        #expect(message("lossless-junk.webp").contains("its picture is damaged"))
    }

    @Test func everyTruncationIsAnError() throws {
        for picture in try Self.readable() {
            let whole = try Fixtures.bytes("WebP/" + picture.file)
            for length in stride(from: 12, to: whole.count, by: 1 + whole.count / 150) + [whole.count - 1] {
                let thrown = failure { _ = try DecodedImage.decode(Array(whole.prefix(length)), path: "a.webp") }
                #expect(thrown?.kind == .badData, "\(picture.file) cut to \(length) of \(whole.count) bytes")
            }
        }
    }

    /// A damaged file decodes or throws a `Failure`; anything else would end the test's process.
    @Test func damagedBytesNeverCrash() throws {
        var generator = SeededGenerator(state: 9)
        let limits = ImageLimits(pixels: 1_000_000, fileBytes: 1 << 20)
        var refused = 0
        for picture in try Self.readable() {
            let whole = try Fixtures.bytes("WebP/" + picture.file)
            for _ in 0..<200 {
                var damaged = whole
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    damaged[Int.random(in: 0..<whole.count, using: &generator)] = .random(
                        in: 0...255, using: &generator)
                }
                do {
                    _ = try DecodedImage.decode(damaged, path: "a.webp", limits: limits)
                } catch {
                    #expect(error is Failure)
                    refused += 1
                }
            }
        }
        #expect(refused > 100)
    }
}

/// A machine without libwebp.
struct NoWebPTests {
    @Test func whatToInstallIsSaid() throws {
        let absence = #expect(throws: WebPLibrary.Absence.self) { try WebPLibrary(named: "libwebp-none.so.7") }
        let advice = try #require(absence).advice
        #expect(advice.contains("libwebp-none.so.7") && advice.contains("apt-get install libwebp7"))
        // A library that is there and has nothing of it.
        let other = #expect(throws: WebPLibrary.Absence.self) { try WebPLibrary(named: "libc.so.6") }
        #expect(try #require(other).advice.contains("WebPDecodeRGBInto"))
    }

    /// The header alone is ours to read.
    @Test func sidesAreReadAllTheSame() throws {
        let size = try DecodedImage.storedSize(Fixtures.bytes("WebP/lossy.webp"), path: "a.webp")
        #expect(size == (37, 29))
    }
}
