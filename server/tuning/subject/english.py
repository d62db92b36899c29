"""English words by the part they play in a query, for finding its subject."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS = _words(
    """
    a an the this that these those some any each every either neither both all no none such same
    other another i me my mine myself you your yours yourself he him his himself she her hers
    herself it its itself we us our ours ourselves they them their theirs themselves one ones
    someone somebody something anyone anybody anything everyone everybody everything noone nobody
    nothing who whom whose which what whatever whichever whoever where when why how until till here
    there now then today tomorrow yesterday just also too very so as well only even still yet ever
    never always often usually sometimes mostly really quite rather almost about around again
    already perhaps maybe please and or but nor if unless because since while although though
    whether than of in on at by for with without to from into onto upon over under up down out off
    through during before after between among against toward towards within along across behind
    beside besides near like per via except am is are was were be been being isn't aren't wasn't
    weren't do does did doing done don't doesn't didn't have has had having haven't hasn't hadn't
    can could may might must shall should will would can't cannot couldn't won't wouldn't shouldn't
    mustn't let lets let's what's where's who's when's how's which's that's there's it's he's she's
    i'm i've i'd i'll you're you've you'd you'll we're we've we'd we'll they're they've they'd
    they'll he'd he'll she'd she'll yes not ok okay hey hi hello thanks thank tell remind more most
    less least much many few little lot lots several own first last next
    """
)
"""Never a subject on their own, although real graphs have heads like "what", "do" and "i"."""

PHRASE_VERBS = _words("have having be being do doing get getting go going")
"""Function words that a verb phrase may start with: "have breakfast", if the graph has it."""

PARTICLES = _words("up down out off away over back")
"""Function words that a verb phrase may end with: "wake up", if the graph has it."""

AUXILIARIES = _words(
    """
    do does did is are was were can could may might must shall should will would has have had don't
    doesn't didn't isn't aren't wasn't weren't can't couldn't won't wouldn't shouldn't
    """
)
"""These stand before the subject of a question."""

FULL_VERB_AUXILIARIES = _words(
    """
    do does did can could may might must shall should will would don't doesn't didn't can't couldn't
    won't wouldn't shouldn't
    """
)
"""The AUXILIARIES that a subject and a verb follow ("does my brother move")."""

FORMS_OF_BE = _words("is are was were be been")

QUESTION_WORDS = _words("what which who whom whose where when why how")

SUBJECT_PRONOUNS = _words("i you we they he she it one")

POSSESSIVES = _words("my your his her its our their")

USERS_OWN = _words("my our mine ours")
FIRST_PERSON = USERS_OWN | _words("i me myself we us i'm i've i'd i'll we're we've we'd we'll")
"""Words by which a query is about the user."""

PEOPLE = _words(
    """
    mother mum mom mummy father dad daddy parent brother sister sibling twin son daughter child
    children kid grandkid boy girl lad lass baby wife husband spouse partner girlfriend boyfriend
    fiance fiancee aunt auntie uncle cousin niece nephew grandmother grandma granny gran
    grandfather grandad grandpa grandson granddaughter grandchild grandchildren boss manager
    colleague coworker neighbour neighbor friend flatmate roommate
    """
)
"""Whom people speak of as theirs, and who have jobs, homes and tastes of their own."""

THIRD_PERSON = _words(
    "he she it they him her them this that these those who which you one someone somebody"
)
"""Words that name nobody on their own: what they stand for was said before."""

CLAUSE_SUBJECTS = _words("i i'm i've we we've he he's she she's it it's they my our his her their")
"""Words with which a clause of its own begins after "and"."""

NAME_MODALS = _words("may will")
"""Function words that are also names."""

ORDERS = _words(
    """
    tell describe name list show explain define count recommend suggest find call remind give
    compare
    """
)
"""Verbs that a request may start with: a capital there does not make them names."""

COMMANDS = _words(
    """
    write translate summarise summarize make turn sort proofread draft stop use convert reply
    continue rewrite fix print select let's imagine
    """
)
"""More such verbs: what begins with one says nothing about the user."""

TITLES = _words(
    """
    duke earl baron count prince princess lord lady king queen marquess viscount baronet jr sr
    """
)
"""Titles that may follow a comma inside a name ("Thomas Buxton, Duke of ...")."""

ASKING_VERBS = _words(
    """
    like likes liked enjoy enjoys want wants need needs needed require requires required love loves
    prefer prefers find finds found get gets give gives keep keeps kept put puts take takes go goes
    going come comes came make makes made know knows known use uses used mean means say says said
    ask asks call calls called name named think thinks feel feels look looks see sees try tries
    happen happens happened serve serves offer offers buy buys bring brings eat eats drink drinks
    feed feeds fed cook cooks live lives lived stay stays work works worked start starts begin
    begins end ends open opens close closes cost costs pay pays belong belongs own owns store stored
    leave left hold holds held meet meets wear wears play plays played speak speaks spoke talk talks
    read reads write writes wrote sit sits sleep sleeps stand stands visit visits remember remembers
    forget forgot describe list show explain define count wake wakes travel travels help helps
    consider become became order orders choose chose recommend suggest set sets turn turns spend
    spends celebrate celebrates marry married die died born move moves moved lie lies drive drives
    study studies teach teaches support supports hate hates dislike dislikes avoid avoids cause
    causes lead leads contain contains include includes last lasts taste tastes smell smells sound
    sounds weigh weighs arrive arrives depart departs finish finishes earn earns based located
    created developed founded formed originated produced owned employed written released built
    invented painted discovered
    """
)
"""Verbs that ask about something else in the query: a subject only if nothing else is."""

FRAME_NOUNS = _words(
    """
    favorite favourite best usual kind kinds sort sorts type types thing things way place time day
    date hour year word words part parts general purpose reason effect result consequence goal step
    definition meaning property quality ability skill trick feature material ingredient ingredients
    category class color colour size price age name location spot venue address duration number
    amount job profession occupation employer birthday birthplace hobby hobbies owner spouse partner
    nickname height weight length food drink dish meal treat snack gift present activity pastime
    song book team club sport instrument language nationality breed typical main people birth
    someone somebody
    """
)
"""Nouns that name what is asked about something else ("the colour of ...", "...'s birthday")."""

ABBREVIATIONS = _words(
    """
    dr mr mrs ms st mt ft jr sr lt col gen capt prof rev sgt maj gov sen rep hon no nos vs inc co
    corp ltd bros mme mlle op vol etc approx dept univ
    """
)
"""A full stop after one of these does not end a sentence."""

PLAIN_ADJECTIVES = _words(
    """
    old new little big small own dear poor sweet lovely cute beloved
    """
)
"""Adjectives that do not turn a noun into another concept: "my old dog" is the dog."""

NAME_CONNECTORS = _words(
    """
    of the de da di del dell della dello degli delle dei do dos das van von der den la le les du des
    ibn bin al el and y e et und zu zum zur af av in on for to a no ten ter lo os n with
    """
)
"""Small words that proper names contain ("Edwin of Northumbria")."""
