import Failures
import Foundation
import ImageFiles
import TestSupport
import Testing

struct DecodingTests {
    /// Equality, not nearness: PNG is exact, and both sides decode JPEG with libjpeg-turbo's integer transform.
    @Test func everyKindOfFileReadsAsPillowReadsIt() throws {
        let expected = try Fixtures.decode([Fixtures.Readable].self, from: "readable.json")
        #expect(expected.count > 50)
        for picture in expected {
            let decoded = try DecodedImage.read(Fixtures.path(picture.file))
            #expect(decoded.width == picture.width && decoded.height == picture.height, "\(picture.file)")
            #expect(decoded.rgb.bytes == Array(picture.rgb), "\(picture.file) as RGB")
            #expect(decoded.grey.bytes == Array(picture.grey), "\(picture.file) as grey")
            #expect(decoded.warnings.isEmpty)
        }
    }

    @Test func textChunksBeforeAndAfterThePixels() throws {
        let latin = "café ©"
        let unicode = "été 東京 🎨"
        #expect(
            try DecodedImage.read(Fixtures.path("texts.png")).textChunks == [
                TextChunk(keyword: "plain", text: latin),
                TextChunk(keyword: "deflated", text: String(repeating: latin, count: 20)),
                TextChunk(keyword: "unicode", text: unicode),
                TextChunk(keyword: "unicode deflated", text: String(repeating: unicode, count: 20)),
                TextChunk(keyword: "empty", text: ""),
            ])
    }

    /// Where the colours say nothing: what is transparent is repainted.
    @Test func aMaskPaintedInAlphaIsReadThere() throws {
        let painted = try DecodedImage.read(Fixtures.path("mask-in-alpha.png"))
        let (grey, warning, isInAlpha) = painted.paintedMask
        #expect(isInAlpha)
        #expect(try #require(warning).contains("what is transparent is repainted"))
        // The four pixels in the middle are opaque.
        #expect(grey.binaryMask().repaintedCount == 32 && grey == painted.transparencyMask)
        let photograph = try DecodedImage.read(Fixtures.path("rgba-8.png"))
        #expect(photograph.paintedMask.isInAlpha)
        #expect(try #require(photograph.paintedMask.warning).contains("a photograph's"))
        #expect(try #require(photograph.photographWarnings.first).contains("transparent parts"))
        // White strokes on nothing are white strokes.
        let strokes = try DecodedImage.read(Fixtures.path("mask-of-strokes.png"))
        #expect(!strokes.paintedMask.isInAlpha && strokes.paintedMask.grey.binaryMask().repaintedCount == 4)
        #expect(try #require(strokes.paintedMask.warning).contains("only its colours are read"))
        let opaque = try DecodedImage.read(Fixtures.path("grey-8.png"))
        #expect(opaque.paintedMask.warning == nil && opaque.photographWarnings.isEmpty)
        #expect(opaque.transparencyMask == nil && opaque.paintedMask.grey == opaque.grey)
    }

    @Test func aMaskIsFittedIfItsAspectAllows() throws {
        let mask = try DecodedImage.read(Fixtures.path("grey-8.png"))
        let (same, silence) = try mask.fitted(mask.grey, toWidth: 13, height: 9)
        #expect(same == mask.grey && silence == nil)
        let (doubled, warning) = try mask.fitted(mask.grey, toWidth: 26, height: 18)
        #expect(doubled == mask.grey.resized(width: 26, height: 18, filter: .nearest))
        #expect(try #require(warning).hasSuffix("13 x 9 pixels, the image 26 x 18; the mask is resized"))
        for (width, height) in [(9, 13), (13, 13), (512, 512), (1, 1000)] {
            #expect(failure { _ = try mask.fitted(mask.grey, toWidth: width, height: height) }?.kind == .badData)
        }
    }

    /// Some cameras pad the data before the end mark; the picture is whole, and the same.
    @Test func aFewStrayBytesBeforeTheEndMarkAreSaid() throws {
        let whole = try Fixtures.bytes("restart.jpg")
        let endMark: [UInt8] = [0xFF, 0xD9]
        let picture = Array(whole[..<(whole.count - 2)])
        let padded = picture + [UInt8](repeating: 1, count: 14) + endMark
        let decoded = try DecodedImage.decode(padded, path: "a.jpg")
        #expect(decoded.warnings == ["a.jpg: stray bytes before the JPEG's end mark; the picture itself is whole"])
        #expect(try decoded.rgb == DecodedImage.decode(whole, path: "a.jpg").rgb)
        let damaged = picture + [UInt8](repeating: 1, count: 40) + endMark
        #expect(failure { _ = try DecodedImage.decode(damaged, path: "a.jpg") }?.kind == .badData)
    }

    @Test func theContentsTellTheKindNotTheName() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/picture.jpg"
            try FileManager.default.copyContents(atPath: Fixtures.path("rgb-8.png"), toPath: path)
            #expect(try DecodedImage.read(path).width == 13)
        }
    }

    @Test(arguments: [
        ("", "an empty file"), ("RIFF\u{1}\u{2}\u{3}\u{4}AVI LIST", "a file of no known picture format"),
        ("GIF89a", "a GIF picture"),
        ("BM\u{1}\u{2}", "a BMP picture"), ("\0\0\0 ftypheic", "a HEIC picture"),
        ("\0\0\0 ftypavif", "an AVIF picture"),
        ("II*\0", "a TIFF picture or a camera's raw file"), ("Not a picture\n", "text"), ("%PDF-1.7", "a PDF document"),
        ("\u{1}\u{2}\u{3}", "a file of no known picture format"),
    ])
    func otherFormatsAreNamed(contents: String, found: String) throws {
        try withTemporaryFolder { folder in
            let path = folder + "/picture.png"
            try Data(contents.utf8).write(to: URL(fileURLWithPath: path))
            let thrown = try #require(failure { _ = try DecodedImage.read(path) })
            #expect(thrown == .badData("\(path): expected a PNG, JPEG or WebP picture, found \(found)"))
        }
    }

    @Test func whatCannotBeReadIsMissingInput() throws {
        try withTemporaryFolder { folder in
            for path in [folder, folder + "/none.png", "", "/dev/zero", folder + "/a\0b"] {
                #expect(failure { _ = try DecodedImage.read(path) }?.kind == .missingInput, "\(path)")
            }
        }
    }

    @Test func limitsAreTheCallersToSet() throws {
        let path = Fixtures.path("rgb-8.png")
        let pixels = failure { _ = try DecodedImage.read(path, limits: ImageLimits(pixels: 116, fileBytes: 4096)) }
        #expect(pixels?.kind == .badData)
        let size = failure { _ = try DecodedImage.read(path, limits: ImageLimits(pixels: 117, fileBytes: 100)) }
        #expect(size?.kind == .badData)
        _ = try DecodedImage.read(path, limits: ImageLimits(pixels: 117, fileBytes: 4096))
    }
}
