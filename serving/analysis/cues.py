"""Words that tell who speaks or acts, and the phrases that can stand beside them; plain word lists of English."""

from __future__ import annotations

from training.holder_words import word_set

_SPEECH = """
    say says said saying, tell tells told telling, add adds added adding, warn warns warned warning, argue argues
    argued arguing, note notes noted noting, insist insists insisted insisting, claim claims claimed claiming, state
    states stated stating, declare declares declared declaring, announce announces announced announcing, ask asks
    asked asking, explain explains explained explaining, write writes wrote writing, tweet tweets tweeted tweeting,
    predict predicts predicted predicting, acknowledge acknowledges acknowledged acknowledging, admit admits
    admitted admitting, suggest suggests suggested suggesting, stress stresses stressed stressing, remark remarks
    remarked remarking, reply replies replied replying, respond responds responded responding, comment commented,
    reiterate reiterates reiterated reiterating, emphasize emphasizes emphasized emphasise emphasises emphasised
    emphasizing, observe observed, believe believes believed, think thinks thought, hope hopes hoped, fear fears
    feared, report reports reported, conclude concludes concluded, assert asserts asserted asserting, affirm affirms
    affirmed, confirm confirms confirmed, contend contends contended, maintain maintains maintained, complain
    complains complained, concede concedes conceded, continue continued, joke joked, quip quipped, recall recalled,
    repeat repeated, testify testified, vow vows vowed, boast boasted, caution cautions cautioned, charge charged,
    counter countered, describe describes described, call calls called, estimate estimates estimated, express
    expressed expresses, indicate indicates indicated, point points pointed, promise promises promised, question
    questioned, shout shouted, speak spoke, signal signals signaled signalled, urge urges urged, advise advised,
    remind reminded, wonder wondered, expect expects expected, know knows knew, hint hints hinted, assure assures
    assured, disclose disclosed, calculate calculated, brag bragged, lament lamented, proclaim proclaimed, stipulate
    stipulated, judge judged, forecast, reveal reveals revealed, inform informed, mention mentioned
"""
_ACTS = """
    demand demands demanded demanding, reject rejects rejected rejecting, refuse refuses refused refusing, offer
    offers offered offering, propose proposes proposed proposing, threaten threatens threatened threatening, pledge
    pledges pledged pledging, agree agrees agreed agreeing, want wants wanted, seek seeks sought seeking, support
    supports supported supporting, oppose opposes opposed opposing, back backs backed, condemn condemns condemned
    condemning, denounce denounces denounced denouncing, criticize criticizes criticized criticise criticised,
    praise praises praised, welcome welcomes welcomed, impose imposes imposed imposing, lift lifts lifted, ease
    eases eased, withdraw withdraws withdrew, suspend suspends suspended suspending, cancel cancels canceled
    cancelled, resume resumes resumed, launch launches launched launching, test tests tested testing, fire fires
    fired firing, deploy deploys deployed, accuse accuses accused accusing, blame blames blamed blaming, deny denies
    denied denying, dismiss dismisses dismissed dismissing, defend defends defended defending, approve approves
    approved, vote votes voted, plan plans planned planning, decide decides decided, order orders ordered, sign
    signs signed, halt halts halted, freeze freezes froze, need needs needed, try tries tried trying, intend intends
    intended, hail hailed, endorse endorsed, appeal appeals appealed, invite invited, pull pulled, conduct conducts
    conducted, hold holds held, continue continues, begin began, attempt attempts, require requires,
    ban bans banned, block blocks blocked, abandon abandons abandoned, keep keeps kept, push pushes pushed, press
    presses pressed, prefer prefers, favor favors, blast blasted, slam slammed, extend extended, strengthen
    strengthened, send sent, make made, take took, give gave, use used, wish wishes wished, negotiate negotiated,
    draft drafted, drop drops dropped, determine determined, adopt adopts adopted, avoid avoids avoided, pursue
    pursued pursues
"""


SPEECH = word_set(_SPEECH)
"""Verbs that report what somebody says or thinks."""

ACTS = word_set(_ACTS) - SPEECH
"""Verbs that report a demand or an act by which somebody takes a side."""

NOT_A_NAME = word_set(
    """
    A According After Again All Also Although Always An And Another Any As Asked At Because Before Both But By
    Clearly Could Despite Did Do Does During Each Earlier Even Every Finally First For From Further Given Had Has
    Have Having Hence How However If In Indeed Instead Is Its It's Just Last Later Like Many May Meanwhile More
    Moreover Most Much Nevertheless Next No Nor Not Nothing Now Of Often On Once Only Or Other Our Over Perhaps
    Recently Rather Say Second Separately Several Should Since So Some Soon Still Such Than That The Their Then
    There These This Those Though Through Thus To Today Together Tomorrow Tonight Under Unless Until Upon Was Were
    What When Where Whether Which While Who Whoever Why Will With Without Would Yes Yesterday Yet Your My His Her
    That's There's Let Please Nobody Everyone D.C. Monday Tuesday Wednesday Thursday Friday Saturday Sunday January
    February March April June July August September October November December Jan Feb Aug Sept Oct Nov Dec Inside
    Outside Around About Against Among Between Here Speaking
    """
)
"""Words that may begin a sentence or be a date with a capital letter, and are no part of a name."""

PEOPLE = word_set(
    """
    adviser advisers advisor advisors aide aides administration activist activists agency agencies ambassador
    ambassadors analyst analysts analysis army article article author authors campaigners chairman chairwoman
    chancellor citizens commander commanders commentary commentator commentators committee communique communiqué
    conservatives council correspondent countries country critics defectors delegate delegates delegation democrats
    diplomat diplomats editorial envoy envoys executive executives experts expert farmers forces foreign general
    generals government governments group groups hawks doves households industry inspectors institute intelligence
    investigators journalists king lawmaker lawmakers leader leaders leadership lawyer lawyers media mediator
    mediators member members military minister ministers ministry nation nations negotiator negotiators newspaper
    newspapers observers office officer officers official officials opponent opponents organisation organisations
    organization organizations paper parliament participants parties party people person pollster president
    presidents professor protesters pundits refugees regime report reporters republicans researcher researchers
    residents resolution rebels scholar scholars scientist scientists secretary senator senators side sides skeptics
    sceptics soldiers source sources speaker speakers spokesman spokesmen spokesperson spokeswoman state states
    statement students supporters survivors team troops union veterans voters witnesses women workers others some
    many most both one navy congressman congresswoman representative representatives prime
    """
)
"""Nouns for those who can hold a position, where no capital letter says so."""

PRONOUNS = word_set("i we he she they it I We He She They It us me")

WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
ADVERBS = WEEKDAYS | word_set(
    """
    already also then later once again now still just only even always never often earlier further all both merely
    long first too himself herself themselves yesterday today soon
    """
)
"""What may stand between a name and its verb, besides words on -ly."""

AUXILIARIES = word_set(
    """
    has have had is are was were be been being will would can could may might must should did does do not to cannot
    didn't doesn't won't wouldn't hasn't don't can't 's 've 'd
    """
)
DETERMINERS = word_set(
    """
    the a an this that its his her their our my some many most several two three four other another one both all
    these those no any each every few various
    """
)
